import math

import pytest

from gammaray.features.baseline import ewma_volatility, intraday_volatility


def test_constant_moves_give_their_own_volatility() -> None:
    # alternating ±1 % log returns: every weighted mean of squares is 1e-4, annual 0.01 × √252
    closes = [100.0 * math.exp(0.01 * (i % 2)) for i in range(40)]
    assert ewma_volatility(closes) == pytest.approx(0.01 * math.sqrt(252), rel=1e-12)


def test_the_newest_return_weighs_most() -> None:
    calm = [100.0 * math.exp(0.001 * (i % 2)) for i in range(40)]
    shocked = [*calm, calm[-1] * math.exp(0.05)]
    # 6 % of the squared 5 % move and 94 % of the calm variance, up to the finite sum of weights
    weight = 1.0 / sum(0.94**k for k in range(40))
    expected = math.sqrt((weight * 0.05**2 + (1 - weight) * 0.001**2) * 252)
    assert ewma_volatility(shocked) == pytest.approx(expected, rel=1e-12)


def test_too_little_data_is_unknown() -> None:
    assert math.isnan(ewma_volatility([100.0] * 10))
    assert math.isnan(intraday_volatility([100.0] * 20, 600.0))
    assert math.isnan(ewma_volatility([100.0, float("nan")] * 20))
    with pytest.raises(ValueError, match="decay"):
        ewma_volatility([1.0] * 30, decay=1.0)


def test_intraday_scales_with_the_session() -> None:
    # 30 one-minute returns of ±0.05 %: variance 30 × 2.5e-7 over 1,800 s, a session has 23,400 s
    spots = [100.0 * math.exp(0.0005 * (i % 2)) for i in range(31)]
    assert intraday_volatility(spots, 1800.0) == pytest.approx(math.sqrt(30 * 2.5e-7 * 13 * 252), rel=1e-12)
