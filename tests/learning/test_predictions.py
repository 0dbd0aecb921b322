"""The prediction log: idempotent, joined by session, errors by version and role."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gammaray.learning.losses import ForecastLoss
from gammaray.learning.predictions import LoggedPrediction, Outcome, PredictionLog, logged
from gammaray.models.serving import Role, RolePrediction, Served
from gammaray.operations.errors import BadInput

SERVED = Served(
    "lstm",
    "r1",
    "SPY:2018-02-05",
    100,
    RolePrediction("2", Role.CHALLENGER, 0.2, 0.01),
    (RolePrediction("1", Role.CHAMPION, 0.1, 0.0),),
)


def test_rows_of_a_request() -> None:
    rows = logged(SERVED, "SPY", 200)
    assert [(row.version, row.role, row.served, row.target_ns) for row in rows] == [
        ("2", "challenger", True, 200),
        ("1", "champion", False, 200),
    ]


def test_append_join_and_errors(tmp_path: Path) -> None:
    with PredictionLog(tmp_path / "log.sqlite") as log:
        assert log.append(logged(SERVED, "SPY", 200)) == 2
        assert log.append(logged(SERVED, "SPY", 200)) == 0
        assert log.joined("lstm") == []
        outcome = Outcome("SPY", 200, 205, 0.2, -0.01)
        assert log.append_outcomes([outcome, Outcome("QQQ", 200, 205, 0.9, 0.9)]) == 2
        assert log.append_outcomes([replace(outcome, realized_volatility=9.0)]) == 0
        assert log.joined("lstm", known_by_ns=204) == []
        assert log.joined("lstm", from_ns=101) == []
        assert log.joined("other") == []
        assert [item.outcome for item in log.joined("lstm")] == [outcome, outcome]
        champion, challenger = log.errors("lstm", measure=ForecastLoss(0.5, 0.04))
        assert (champion.version, champion.role, champion.count) == ("1", "champion", 1)
        assert champion.log_volatility == pytest.approx(math.log(2.0))
        assert champion.iv_change == pytest.approx(0.01)
        assert champion.loss == pytest.approx(0.5 * math.log(2.0) + 0.5 * 0.25)
        assert challenger.log_volatility == 0.0
        assert challenger.iv_change == pytest.approx(0.02)
        assert log.counts() == (2, 2)
    with PredictionLog(tmp_path / "log.sqlite") as log:
        assert log.counts() == (2, 2)


def test_an_unmeasured_head_is_kept_as_unknown(tmp_path: Path) -> None:
    with PredictionLog(tmp_path / "log.sqlite") as log:
        log.append(logged(SERVED, "SPY", 200))
        log.append_outcomes([Outcome("SPY", 200, 205, 0.2, math.nan)])
        champion = log.errors("lstm")[0]
        assert champion.log_volatility == pytest.approx(math.log(2.0))
        assert math.isnan(champion.iv_change)
        assert champion.loss == pytest.approx(math.log(2.0))


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    good = logged(SERVED, "SPY", 200)[0]
    bad = LoggedPrediction("r2", "lstm", "1", "champion", True, "SPY", 300, 300, 0.1, 0.0)
    with PredictionLog(tmp_path / "log.sqlite") as log:
        with pytest.raises(BadInput, match="target_ns: must lie after ts_ns 300"):
            log.append([good, bad])
        assert log.counts() == (0, 0)
