"""Gauges that Ray exports to Prometheus (prefix `ray_`). Label sets are bounded: states, rules, models, underlyings."""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Gauge


class Gauges:
    """Named gauges of one actor: `Gauges({"gammaray_equity_dollars": ("Equity of the account", ())})`."""

    def __init__(self, described: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
        self._gauges = {name: Gauge(name, description=text, tag_keys=keys) for name, (text, keys) in described.items()}

    def set(self, name: str, value: float, **tags: str) -> None:
        """Set one gauge. Raises KeyError for a name that was not described."""
        self._gauges[name].set(value, tags=tags)


DESK = {
    "gammaray_equity_dollars": ("Equity of the account", ()),
    "gammaray_orders": ("Orders by state", ("state",)),
    "gammaray_denials": ("Orders denied by rule", ("rule",)),
    "gammaray_trading_state": ("0 active, 1 reducing, 2 halted", ()),
    "gammaray_reconciliation_differences": ("Differences between our books and the venue's that no rule explains", ()),
}
MARKET = {
    "gammaray_quotes": ("Quotes taken in", ()),
    "gammaray_backfills": ("Steps for which the stream fell short", ()),
    "gammaray_surface_error": ("Root mean square error of the surface in volatility", ("underlying",)),
}
DRIFT = {
    "gammaray_drift_events": ("Drift events", ("model",)),
    "gammaray_retraining_pending": ("Retraining jobs under way", ()),
    "gammaray_champion_version": ("Version of the champion", ("model",)),
}
