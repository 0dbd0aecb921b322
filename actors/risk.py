"""The risk actor: greeks of the book, limits of the account, and the trading state that they ask for."""

from __future__ import annotations

from dataclasses import asdict

import ray

from actors import names
from actors.calls import find
from actors.configuration import ActorConfiguration
from actors.messages import DeskReport
from actors.process import enter_process
from gammaray.features.observer import MarketTick
from gammaray.operations.errors import RetryLater
from gammaray.operations.health import Health
from gammaray.risk.exposure import BookExposure, Exposure, book_exposure
from gammaray.risk.limits import AccountLimits, Breach, check_account, stricter
from gammaray.types.money import to_dollars
from gammaray.types.signals import TradingState

UNPRICED_STEPS = 4
"""Steps in a row with a position that cannot be priced before new risk is forbidden."""


@ray.remote(concurrency_groups={"health": 1})
class RiskActor:
    """Looks at the book after every step and restricts trading by rule; it never loosens."""

    def __init__(self, configuration: ActorConfiguration) -> None:
        self._configuration = configuration
        self._log = enter_process(configuration, "risk")
        risk = configuration.settings.risk
        self._limits = AccountLimits(risk.max_daily_loss, risk.max_leverage)
        self._exposure = BookExposure(0, {}, Exposure(), ())
        self._breaches: list[Breach] = []
        self._trading_state = TradingState.ACTIVE
        self._steps_unpriced = 0

    def on_step(self, tick: MarketTick, report: DeskReport) -> BookExposure:
        """Measure the book at a step; a breach asks the desk for a stricter trading state."""
        book = report.book
        positions = {symbol: position.signed_qty for symbol, position in book.positions.items()}
        self._exposure = book_exposure(tick.step.ts_ns, positions, tick.snapshots)
        self._trading_state = book.trading_state
        if tick.step.session_open:
            self._enforce(
                check_account(
                    self._limits,
                    equity=to_dollars(book.equity),
                    start_of_day_equity=to_dollars(book.start_of_day_equity),
                    delta_dollars=self._exposure.total.delta_dollars,
                    unpriced=self._lasting_unpriced(),
                )
            )
        return self._exposure

    def risk(self) -> dict[str, object]:
        """What `GET /v1/risk` answers."""
        return {
            "ts_ns": self._exposure.ts_ns,
            "trading_state": self._trading_state.value,
            "total": asdict(self._exposure.total),
            "by_underlying": {name: asdict(value) for name, value in self._exposure.by_underlying.items()},
            "unpriced": list(self._exposure.unpriced),
            "limits": asdict(self._limits),
            "breaches": [{**asdict(breach), "state": breach.state.value} for breach in self._breaches],
        }

    def set_limits(self, max_daily_loss: float, max_leverage: float) -> None:
        """Limits from changed settings."""
        self._limits = AccountLimits(max_daily_loss, max_leverage)

    @ray.method(concurrency_group="health")
    def health(self) -> Health:
        """Alive."""
        return Health("risk", live=True, ready=self._exposure.ts_ns > 0, detail=f"{len(self._breaches)} breaches")

    def _lasting_unpriced(self) -> int:
        """Positions without greeks, once that has lasted: a single step may fall between two quotes, and the gate denies on it anyway."""
        self._steps_unpriced = self._steps_unpriced + 1 if self._exposure.unpriced else 0
        return len(self._exposure.unpriced) if self._steps_unpriced >= UNPRICED_STEPS else 0

    def _enforce(self, breaches: list[Breach]) -> None:
        self._breaches = breaches
        for breach in breaches:
            wanted = stricter(self._trading_state, breach.state)
            if wanted is self._trading_state:
                continue
            self._log.warning("breach", rule=breach.rule, limit=breach.limit, value=breach.value, state=wanted.value)
            try:
                desk = find(names.DESK, self._configuration.namespace)
                ray.get(desk.set_trading_state.remote(wanted.value, "risk", str(breach)), timeout=5.0)
            except (RetryLater, ray.exceptions.RayError) as error:
                self._log.error("desk_not_reached", error=str(error))  # the desk's own gate fails closed meanwhile
                return
            self._trading_state = wanted
