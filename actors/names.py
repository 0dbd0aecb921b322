"""Names under which actors are found, in the namespace of the run's settings."""

from __future__ import annotations

MARKET = "market"
DESK = "desk"
RISK = "risk"
DRIFT = "drift"
SUPERVISOR = "supervisor"

ALL = (MARKET, DESK, RISK, DRIFT, SUPERVISOR)

APPLICATION = "gammaray"
DEPLOYMENT = "api"
