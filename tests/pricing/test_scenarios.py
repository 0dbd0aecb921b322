"""Full revaluation against pricing each pair alone; reductions against the matrix; American ladders against American prices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray import pricing
from gammaray.pricing.ladders import Ladders
from gammaray.pricing.scenarios import Positions, Scenarios, revalue


def book(seed: int, n: int, *, underlyings: int = 1, american: float = 0.0) -> tuple[Positions, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    columns = {
        "right": np.where(rng.random(n) < 0.5, 1.0, -1.0),
        "spot": np.full(n, 100.0),
        "strike": rng.uniform(70, 130, n),
        "tau": rng.uniform(0.02, 1.5, n),
        "rate": np.full(n, 0.04),
        "volatility": rng.uniform(0.15, 0.6, n),
        "dividend_yield": rng.uniform(0, 0.03, n),
    }
    extra = {
        "quantity": 100.0 * rng.integers(-20, 21, n),
        "underlying": rng.integers(0, underlyings, n),
        "is_american": rng.random(n) < american,
    }
    return Positions.of(**columns, **extra), columns | extra


def moves(seed: int, m: int, underlyings: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (m, underlyings) if underlyings > 1 else (m,)
    return {"spot_shift": rng.normal(0, 0.05, shape), "volatility_shift": rng.normal(0, 0.05, shape)}


def test_every_pair_is_its_price() -> None:
    positions, columns = book(1, 150)
    shifts = moves(2, 333) | {
        "rate_shift": np.random.default_rng(3).normal(0, 0.005, 333),
        "time_shift": np.array(1 / 52),
    }
    for names in (("spot_shift", "volatility_shift"), tuple(shifts)):
        used = {name: shifts[name] for name in names}
        matrix = revalue(positions, Scenarios.of(**used))
        assert matrix.shape == (150, 333)
        expected = columns["quantity"][:, None] * pricing.price(
            columns["right"][:, None],
            100 * (1 + used["spot_shift"]),
            columns["strike"][:, None],
            np.maximum(columns["tau"][:, None] - used.get("time_shift", 0.0), 0.0),
            columns["rate"][:, None] + used.get("rate_shift", 0.0),
            np.maximum(columns["volatility"][:, None] + used["volatility_shift"], 0.0),
            columns["dividend_yield"][:, None],
        )
        # 1e-15 of spot and strike for each unit.
        assert np.max(np.abs(matrix - expected)) < 2e-15 * 130 * 2000


def test_reductions_are_sums_of_the_matrix() -> None:
    positions, columns = book(4, 700, underlyings=3)
    scenarios = Scenarios.of(**moves(5, 200, underlyings=3))
    matrix = revalue(positions, scenarios)
    by_underlying = np.stack([matrix[columns["underlying"] == u].sum(axis=0) for u in range(3)])
    scale = np.abs(matrix).sum(axis=0).max()
    np.testing.assert_allclose(revalue(positions, scenarios, reduce="total"), matrix.sum(axis=0), atol=1e-14 * scale)
    np.testing.assert_allclose(revalue(positions, scenarios, reduce="underlying"), by_underlying, atol=1e-14 * scale)
    statistics = revalue(positions, scenarios, reduce="statistics", threads=2)
    np.testing.assert_allclose(statistics.total, matrix.sum(axis=0), atol=1e-14 * scale)
    np.testing.assert_allclose(statistics.by_underlying, by_underlying, atol=1e-14 * scale)
    np.testing.assert_array_equal(statistics.least, matrix.min(axis=1))
    np.testing.assert_array_equal(statistics.greatest, matrix.max(axis=1))
    np.testing.assert_allclose(statistics.mean, matrix.mean(axis=1), rtol=1e-12, atol=1e-9)
    assert statistics.interpolation_error == 0.0


def test_each_underlying_moves_by_its_own_column() -> None:
    positions = Positions.of("C", [100, 200], [100, 200], 0.5, 0.03, 0.2, underlying=[0, 1])
    matrix = revalue(positions, Scenarios.of([[0.1, 0.0], [0.0, 0.1]]))
    up, flat = pricing.price("C", [110, 100], 100, 0.5, 0.03, 0.2)
    np.testing.assert_allclose(matrix, [[up, flat], [2 * flat, 2 * up]], rtol=1e-13)


def test_nothing_moves_nothing_changes() -> None:
    positions, columns = book(6, 50)
    value = columns["quantity"] * pricing.price(
        *(columns[k] for k in ("right", "spot", "strike", "tau", "rate", "volatility", "dividend_yield"))
    )
    np.testing.assert_allclose(positions.values(), value, atol=1e-10)


def test_limits() -> None:
    positions = Positions.of(["C", "P"], 100, 90, 0.25, 0.0, 0.2)
    # Spot lost altogether; volatility gone; expiry passed.
    matrix = revalue(positions, Scenarios.of([-1.0, 0.0, 0.0], [0.0, -0.5, 0.0], 0.0, [0.0, 0.0, 1.0]))
    np.testing.assert_allclose(matrix, [[0.0, 10.0, 10.0], [90.0, 0.0, 0.0]], atol=1e-13)


@settings(max_examples=100, deadline=None)
@given(
    spot=st.floats(0, 1e4),
    strike=st.floats(0, 1e4),
    tau=st.floats(0, 10),
    volatility=st.floats(0, 5),
    spot_shift=st.floats(-1, 3),
    volatility_shift=st.floats(-1, 1),
    time_shift=st.floats(0, 2),
)
def test_parity_and_bounds_in_every_scenario(
    spot: float,
    strike: float,
    tau: float,
    volatility: float,
    spot_shift: float,
    volatility_shift: float,
    time_shift: float,
) -> None:
    positions = Positions.of(["C", "P"], spot, strike, tau, 0.03, volatility, 0.01)
    call, put = revalue(positions, Scenarios.of([spot_shift], volatility_shift, 0.0, time_shift))[:, 0]
    left = max(tau - time_shift, 0.0)
    spot_pv, strike_pv = spot * (1 + spot_shift) * np.exp(-0.01 * left), strike * np.exp(-0.03 * left)
    tolerance = 1e-14 * (spot_pv + strike_pv)
    assert call - put == pytest.approx(spot_pv - strike_pv, abs=tolerance)
    assert -tolerance <= put <= strike_pv + tolerance
    assert -tolerance <= call <= spot_pv + tolerance


def test_american_ladders_are_as_close_as_they_say() -> None:
    positions, columns = book(7, 60, american=0.7)
    american = columns["is_american"]
    scenarios = Scenarios.of(**moves(8, 250))
    ladders = Ladders.of(positions.columns, american, scenarios.planes)
    matrix = revalue(positions, scenarios, ladders=ladders)
    arguments = (
        columns["right"][american, None],
        100 * (1 + moves(8, 250)["spot_shift"]),
        columns["strike"][american, None],
        columns["tau"][american, None],
        0.04,
        np.maximum(columns["volatility"][american, None] + moves(8, 250)["volatility_shift"], 0.0),
        columns["dividend_yield"][american, None],
    )
    expected = pricing.american_price(*arguments)
    # The premium is what is interpolated: it must be there to be seen.
    assert np.max(expected - pricing.price(*arguments)) > 1.0
    quantity = columns["quantity"][american, None]
    held = quantity[:, 0] != 0
    miss = np.abs(matrix[american] / np.where(quantity == 0, 1, quantity) - expected)[held]
    stated = ladders.error[american][held]
    assert np.max(stated) < 2e-2  # where the volatility falls from 15 % to nearly none
    assert np.median(stated) < 2e-4
    assert np.sqrt(np.mean(miss**2)) < 1e-4
    # Stated at the centres of the cells; elsewhere in a cell it can be a little more, and prices carry 1e-5 of their own.
    assert np.all(miss.max(axis=1) <= 1.5 * stated + 5e-5)
    statistics = revalue(positions, scenarios, reduce="statistics", ladders=ladders)
    assert statistics.interpolation_error == pytest.approx(np.abs(columns["quantity"]) @ ladders.error)
    # European rows of a mixed book are exact.
    plain = Positions.of(*(columns[k] for k in list(columns)[:7]), quantity=columns["quantity"])
    np.testing.assert_array_equal(matrix[~american], revalue(plain, scenarios)[~american])


def test_calls_without_dividends_have_no_premium() -> None:
    positions = Positions.of("C", 100, [90, 100, 110], 0.5, 0.03, 0.2, is_american=True)
    european = Positions.of("C", 100, [90, 100, 110], 0.5, 0.03, 0.2)
    scenarios = Scenarios.of(**moves(9, 50))
    np.testing.assert_array_equal(revalue(positions, scenarios), revalue(european, scenarios))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda p: Scenarios.of([0.0, -1.5]), r"spot_shift\[1\]: expected at least -1, was -1.5"),
        (lambda p: Scenarios.of(0.1), r"expected arguments of shape \(m,\) or \(m, underlyings\), was \(\)"),
        (lambda p: Scenarios.of([0.1], [np.nan]), r"volatility_shift\[0\]: .* was nan"),
        (lambda p: Positions.of("C", [100, -1], 100, 1, 0.03, 0.2), r"spot\[1\]"),
        (
            lambda p: Positions.of("C", [100.0], 100, 1, 0.03, 0.2, underlying=0.5),
            r"underlying\[0\]: expected an index",
        ),
        (lambda p: Positions.of("C", [[100.0]], 100, 1, 0.03, 0.2), "at most one dimension"),
        (lambda p: revalue(p, Scenarios.of([[0.0, 0.1]])), r"underlying\[1\]: scenarios have 2 columns, was 2"),
        (lambda p: revalue(p, Scenarios.of([0.0]), reduce="sum"), "reduce: expected"),
        (
            lambda p: revalue(
                Positions.of("P", [100.0], 100, 1, 0.03, 0.2, is_american=True), Scenarios.of([0, 0], 0, [0, 0.01])
            ),
            "rate_shift: must be the same",
        ),
    ],
)
def test_errors(action: object, message: str) -> None:
    positions = Positions.of("C", 100, [90, 110], 0.5, 0.03, 0.2, underlying=[0, 2])
    with pytest.raises(ValueError, match=message):
        action(positions)  # type: ignore[operator]


def test_ladders_are_checked_before_they_are_used_again() -> None:
    positions, _ = book(10, 20, american=1.0)
    narrow = Ladders.of(positions.columns, positions.is_american, Scenarios.of([0.0, 0.1], [-0.01, 0.01]).planes)
    revalue(positions, Scenarios.of([-0.5, 0.5], [0.01, 0.0]), ladders=narrow)
    with pytest.raises(ValueError, match="are for volatility shifts in"):
        revalue(positions, Scenarios.of([0.0], [0.05]), ladders=narrow)
    with pytest.raises(ValueError, match="are for rate and time shifts"):
        revalue(positions, Scenarios.of([0.0], 0.0, 0.01), ladders=narrow)
    other, _ = book(11, 21, american=1.0)
    with pytest.raises(ValueError, match="of other positions"):
        revalue(other, Scenarios.of([0.0]), ladders=narrow)
