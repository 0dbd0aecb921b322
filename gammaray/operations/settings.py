"""Typed settings: defaults, then a YAML file, then the environment (GAMMARAY_RUN__SEED=7). Unknown fields are refused.

Units stand in the names. Secrets are not settings: they come from the environment through `gammaray.venues.alpaca.config`.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gammaray.operations.errors import ConfigurationError


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class VenueKind(StrEnum):
    """Where orders go."""

    SIMULATED = "simulated"
    PAPER = "paper"
    LIVE = "live"


class ScenarioKind(StrEnum):
    """What the simulated exchange plays."""

    HISTORY = "history"
    SYNTHETIC = "synthetic"
    REPLAY = "replay"


HISTORY_FIRST = date(2017, 10, 2)
HISTORY_LAST = date(2018, 3, 29)
"""The default run: from a quiet autumn through the volatility shock of 5 February 2018."""


class RunSettings(_Group):
    """One run of the main job."""

    venue: VenueKind = VenueKind.SIMULATED
    scenario: ScenarioKind = ScenarioKind.HISTORY
    data_dir: Path | None = None
    first_day: date | None = None
    last_day: date | None = None
    steps_per_session: int = Field(13, ge=1, le=390)
    free_running: bool = False
    speed: float = Field(600.0, gt=0, description="market seconds per wall second when the clock runs by itself")
    duration_s: float | None = Field(None, gt=0, description="stop after this many seconds of wall time")
    seed: int = Field(1, ge=0, lt=2**32)
    underlyings: tuple[str, ...] = ()
    starting_cash_dollars: int = Field(1_000_000, gt=0)

    @model_validator(mode="after")
    def _dates_in_order(self) -> RunSettings:
        if self.first_day is not None and self.last_day is not None and self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} is after last_day {self.last_day}")
        if self.scenario is ScenarioKind.REPLAY and self.data_dir is None:
            raise ValueError("scenario replay needs data_dir")
        return self

    @property
    def first(self) -> date:
        """The first day, by default that of the history scenario."""
        return self.first_day or HISTORY_FIRST

    @property
    def last(self) -> date:
        """The last day, by default that of the history scenario."""
        return self.last_day or HISTORY_LAST


class ClusterSettings(_Group):
    """The local Ray cluster that `gammaray run` starts; `address` joins a running one instead."""

    address: str | None = None
    num_cpus: int = Field(4, ge=1)
    object_store_mb: int = Field(150, ge=80)
    dashboard_port: int = Field(8265, ge=0, le=65535)
    namespace: str = "gammaray"


class ServeSettings(_Group):
    """The HTTP side."""

    host: str = "127.0.0.1"
    http_port: int = Field(8000, ge=1, le=65535)
    haproxy: bool = True
    request_timeout_s: float = Field(5.0, gt=0)
    max_ongoing_requests: int = Field(128, ge=1)


class RiskSettings(_Group):
    """Limits of the pre-trade gate and the risk actor. Sizes are fractions of the account's equity."""

    max_position_size: float = Field(0.10, gt=0, le=1, description="largest loss of one position")
    max_daily_loss: float = Field(0.05, gt=0, le=1)
    max_leverage: float = Field(2.0, gt=0)
    max_order_contracts: int = Field(200, gt=0)
    max_order_shares: int = Field(20_000, gt=0)
    price_collar: float = Field(0.25, gt=0, description="distance of a limit price from the mid, of the mid")
    max_quote_age_s: float = Field(3_600.0, gt=0)
    max_orders_per_minute: int = Field(120, gt=0)


class StrategySettings(_Group):
    """Which strategies trade, and how much risk they take."""

    variance_premium: bool = True
    delta_hedger: bool = True
    max_loss_per_position: float = Field(0.015, gt=0, le=1, description="of equity")


class LearningSettings(_Group):
    """The learning loop."""

    models: tuple[str, ...] = ("lstm", "transformer")
    enabled: bool = True
    initial_first_day: date = date(2014, 1, 3)
    challenger_traffic_percentage: float = Field(20.0, ge=0, le=100)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="GAMMARAY_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    run: RunSettings = RunSettings()
    cluster: ClusterSettings = ClusterSettings()
    serve: ServeSettings = ServeSettings()
    risk: RiskSettings = RiskSettings()
    strategy: StrategySettings = StrategySettings()
    learning: LearningSettings = LearningSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, which arrives as init values."""
        return (env_settings, init_settings)

    def changed(self, path: str, value: object) -> Settings:
        """A copy with one dotted field changed, validated: `changed("risk.max_position_size", 0.05)`.

        Raises ConfigurationError naming the field when it does not exist or the value does not fit.
        """
        group_name, _, field = path.partition(".")
        group = getattr(self, group_name, None) if group_name in type(self).model_fields else None
        if not isinstance(group, _Group) or field not in type(group).model_fields:
            raise ConfigurationError(f"{path}: no such setting")
        try:
            new_group = type(group).model_validate({**group.model_dump(), field: value})
        except ValidationError as error:
            raise ConfigurationError(_explain(error, f"{group_name}.")) from None
        return self.model_copy(update={group_name: new_group})


def _explain(error: ValidationError, prefix: str = "") -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=True):
        where = prefix + ".".join(str(part) for part in item["loc"])
        shown = f" (was {item['input']!r})" if not isinstance(item["input"], dict) else ""
        lines.append(f"{where or 'settings'}: {item['msg']}{shown}")
    return "; ".join(lines)


def load_settings(path: Path | None = None, overrides: dict[str, dict[str, object]] | None = None) -> Settings:
    """Settings from a YAML file (optional), the environment, and overrides from the command line (strongest).

    Raises ConfigurationError, naming every bad field, for a missing or malformed file and for values that do not fit.
    """
    content: Any = {}
    if path is not None:
        try:
            content = yaml.safe_load(path.read_text()) or {}
        except OSError as error:
            raise ConfigurationError(f"settings file {path}: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise ConfigurationError(f"settings file {path}: not YAML: {error}") from None
        if not isinstance(content, dict):
            raise ConfigurationError(f"settings file {path}: expected a mapping, was {type(content).__name__}")
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    if not overrides:
        return settings
    merged: dict[str, dict[str, object]] = settings.model_dump()
    for group, values in overrides.items():
        merged[group].update(values)
    try:
        groups = {name: type(getattr(settings, name)).model_validate(value) for name, value in merged.items()}
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    return settings.model_copy(update=groups)
