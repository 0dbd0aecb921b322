"""The loss of a forecast."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gammaray.learning.losses import ForecastLoss
from gammaray.operations.errors import BadInput


def test_hand_calculation() -> None:
    loss = ForecastLoss(iv_weight=0.5, iv_scale=0.04)
    # ½ |log(0.2 / 0.1)| + ½ |0.01 − (−0.01)| / 0.04
    assert loss.one(0.2, 0.01, (0.1, -0.01)) == pytest.approx(0.5 * math.log(2.0) + 0.5 * 0.5)


def test_the_known_head_counts_alone() -> None:
    loss = ForecastLoss(iv_weight=0.25, iv_scale=0.04)
    assert loss.one(0.2, 0.01, (0.1, math.nan)) == pytest.approx(math.log(2.0))
    assert loss.one(0.2, 0.01, (math.nan, 0.05)) == pytest.approx(1.0)
    assert math.isnan(loss.one(0.2, 0.01, (math.nan, math.nan)))


def test_a_perfect_forecast_costs_nothing() -> None:
    outcomes = np.array([[0.1, 0.02], [0.4, -0.1]])
    np.testing.assert_array_equal(ForecastLoss()(outcomes, outcomes), [0.0, 0.0])


def test_settings_are_checked() -> None:
    with pytest.raises(BadInput, match="iv_weight"):
        ForecastLoss(iv_weight=1.5)
    with pytest.raises(BadInput, match="iv_scale"):
        ForecastLoss(iv_scale=0.0)
