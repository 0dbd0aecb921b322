"""The scenario `synthetic`: two correlated underlyings with stochastic volatility, jumps and regime changes, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from gammaray.venues.simulated.listing import ListingRules
from gammaray.venues.simulated.scenario.generated import GeneratedScenario
from gammaray.venues.simulated.scenario.paths import DayPath, UnderlyingPath, session_bar, session_calendar

SYNTHETIC_FIRST = date(2024, 1, 2)
SYNTHETIC_LAST = date(2024, 6, 28)

_PATH_STREAM = 12
_WARM_UP_SESSIONS = 320
_SESSIONS_PER_YEAR = 252.0
_OVERNIGHT = 0.25
"""Length of a night in sessions."""


@dataclass(frozen=True, slots=True)
class Regime:
    """A state of the market. level: volatility level to which the process reverts. jumps: per year. stay: probability to last another session."""

    level: float
    jumps: float
    stay: float


@dataclass(frozen=True, slots=True)
class SyntheticModel:
    """Log-normal volatility level around the regime's, leverage, and jumps in price and level together.

    reversion, volatility: speed and volatility of the log level per year. leverage: correlation of price and level. premium: realised over
    implied volatility. jump_mean, jump_deviation: log size of a price jump; the level jumps `jump_beta` times as much, the other way.
    """

    regimes: tuple[Regime, ...] = (Regime(0.13, 4.0, 0.985), Regime(0.19, 10.0, 0.97), Regime(0.34, 30.0, 0.93))
    reversion: float = 12.0
    volatility: float = 1.1
    leverage: float = -0.75
    premium: float = 0.85
    jump_mean: float = -0.012
    jump_deviation: float = 0.018
    jump_beta: float = -6.0


@dataclass(frozen=True, slots=True)
class SyntheticUnderlying:
    """An underlying of the model. spot: dollars at the first open. correlation: with the common shock. level_ratio: its level over the market's.

    volume: shares of an ordinary session.
    """

    symbol: str
    spot: float
    correlation: float
    level_ratio: float
    volume: float


SYNTHETIC_UNDERLYINGS = (
    SyntheticUnderlying("SPY", 270.0, 0.97, 1.0, 8e7),
    SyntheticUnderlying("QQQ", 180.0, 0.88, 1.25, 5e7),
)


def synthetic_scenario(
    *,
    seed: int,
    first: date = SYNTHETIC_FIRST,
    last: date = SYNTHETIC_LAST,
    steps_per_session: int = 13,
    model: SyntheticModel | None = None,
    underlyings: tuple[SyntheticUnderlying, ...] = SYNTHETIC_UNDERLYINGS,
    rules: ListingRules | None = None,
) -> GeneratedScenario:
    """Sessions from `first` to `last` inclusive, after a run-up that gives the daily bars before them.

    Raises ValueError, naming the argument, when the range holds no session.
    """
    calendar = session_calendar(first - timedelta(days=_WARM_UP_SESSIONS * 3 // 2), last + timedelta(days=260))
    days = [session.day for session in calendar.sessions if session.day <= last]
    shown = [day for day in days if day >= first]
    if not shown:
        raise ValueError(f"first, last: no session from {first} to {last}")
    rng = np.random.default_rng([seed, _PATH_STREAM])
    model = model or SyntheticModel()
    regimes = draw_regimes(rng, model, len(days))
    paths: list[list[DayPath]] = [[] for _ in underlyings]
    spots = np.ones(len(underlyings))
    logs = np.full(len(underlyings), np.log(model.regimes[int(regimes[0])].level))
    for i, day in enumerate(days):
        session = calendar.session(day)
        minutes = (session.close_ns - session.open_ns) // 60_000_000_000
        price, level = _session(rng, model, underlyings, model.regimes[int(regimes[i])], spots, logs, minutes)
        for j, underlying in enumerate(underlyings):
            stress = level[j, -1] / 0.16
            volume = np.floor(underlying.volume * stress * np.exp(0.25 * rng.standard_normal()))
            paths[j].append(
                DayPath(
                    day=day,
                    price=price[j],
                    level=np.clip(level[j] * underlying.level_ratio, 0.05, 2.0),
                    rho=-0.72 if j == 0 else -0.65,
                    mean=0.165 * underlying.level_ratio,
                    volume=float(volume),
                )
            )
        spots, logs = price[:, -1], np.log(level[:, -1])
    start = len(days) - len(shown)
    made = []
    for underlying, path in zip(underlyings, paths, strict=True):
        scale = underlying.spot / path[start].price[0]
        scaled = [replace(day, price=day.price * scale) for day in path]
        before = tuple(session_bar(day, calendar) for day in scaled[:start])
        made.append(UnderlyingPath(underlying.symbol, tuple(scaled[start:]), before))
    return GeneratedScenario(
        "synthetic", made, calendar=calendar, seed=seed, steps_per_session=steps_per_session, rules=rules
    )


def draw_regimes(rng: np.random.Generator, model: SyntheticModel, sessions: int) -> NDArray[np.int64]:
    """The regime of each session: a Markov chain that leaves a regime for one of its neighbours. Shape (sessions,)."""
    states = np.zeros(sessions, dtype=np.int64)
    for i in range(1, sessions):
        now = int(states[i - 1])
        if rng.random() >= model.regimes[now].stay:
            neighbours = [s for s in (now - 1, now + 1) if 0 <= s < len(model.regimes)]
            now = neighbours[int(rng.integers(len(neighbours)))]
        states[i] = now
    return states


def _session(
    rng: np.random.Generator,
    model: SyntheticModel,
    underlyings: tuple[SyntheticUnderlying, ...],
    regime: Regime,
    spots: NDArray[np.float64],
    logs: NDArray[np.float64],
    minutes: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prices and levels by the minute, shape (underlyings, minutes + 1); the first column lies a night after the last close."""
    n = len(underlyings)
    session_years = 1.0 / _SESSIONS_PER_YEAR
    dt = np.concatenate([[_OVERNIGHT * session_years], np.full(minutes, session_years / minutes)])
    root = np.sqrt(dt)
    correlation = np.array([[u.correlation] for u in underlyings])
    common = rng.standard_normal(minutes + 1)
    own = rng.standard_normal((n, minutes + 1))
    shock = correlation * common + np.sqrt(1.0 - correlation**2) * own
    fear = model.leverage * shock + np.sqrt(1.0 - model.leverage**2) * rng.standard_normal(minutes + 1)
    count = rng.poisson(regime.jumps * dt)
    jump = count * model.jump_mean + np.sqrt(count) * model.jump_deviation * rng.standard_normal(minutes + 1)

    elapsed = np.cumsum(dt)
    pull = (np.log(regime.level) - logs)[:, None] * -np.expm1(-model.reversion * elapsed)
    log_level = logs[:, None] + pull + np.cumsum(model.volatility * root * fear + model.jump_beta * jump, axis=1)
    level = np.clip(np.exp(log_level), 0.05, 1.5)
    ratio = np.array([[u.level_ratio] for u in underlyings])
    before = np.concatenate([np.exp(logs)[:, None], level[:, :-1]], axis=1)
    sigma = model.premium * before * ratio
    returns = -0.5 * sigma**2 * dt + sigma * root * shock + jump * ratio
    price = spots[:, None] * np.exp(np.cumsum(returns, axis=1))
    return np.asarray(price), np.asarray(level)
