"""The universal spread rule against the worked numbers of Alpaca's documentation (shared/alpaca/wire.md 2.11)."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.types.instruments import OptionContract, Right
from gammaray.venues.simulated.margin import intrinsic_micros, option_margin, uncovered_legs

DOLLAR = 1_000_000
NEAR, FAR = date(2018, 1, 19), date(2018, 2, 16)


def leg(right: str, strike: float, qty: int, expiration: date = NEAR) -> tuple[OptionContract, int]:
    return OptionContract("SPY", expiration, round(strike * 1000), Right(right)), qty


def requirement(*legs: tuple[OptionContract, int]) -> float:
    return option_margin(legs).requirement / DOLLAR


def test_worked_numbers_of_the_documentation() -> None:
    assert requirement(leg("C", 190, -1), leg("C", 200, 1)) == 1000
    assert requirement(leg("C", 190, -1), leg("C", 200, 1), leg("C", 100, 1), leg("C", 110, -1)) == 0


def test_common_strategies() -> None:
    assert requirement(leg("C", 100, 1)) == 0
    assert requirement(leg("P", 95, -1)) == 9500
    condor = [leg("P", 90, 1), leg("P", 95, -1), leg("C", 105, -1), leg("C", 110, 1)]
    assert requirement(*condor) == 500
    butterfly = [leg("C", 95, 1), leg("C", 100, -2), leg("C", 105, 1)]
    assert requirement(*butterfly) == 0
    unbalanced = [leg("P", 80, 1), leg("P", 95, -1), leg("C", 105, -1), leg("C", 110, 1)]
    assert requirement(*unbalanced) == 1500


def test_over_expirations_the_largest_counts_and_over_underlyings_the_sum() -> None:
    near = [leg("C", 190, -1), leg("C", 200, 1)]
    far = [leg("C", 190, -1, FAR), leg("C", 195, 1, FAR)]
    assert requirement(*near, *far) == 1000
    other = [(OptionContract("QQQ", c.expiration, c.strike_milli, c.right), q) for c, q in near]
    assert requirement(*near, *other) == 2000


def test_a_later_long_covers_an_earlier_short_but_not_the_other_way_round() -> None:
    calendar = option_margin([leg("C", 100, -1), leg("C", 100, 1, FAR)])
    assert calendar.uncovered == ()
    assert calendar.requirement == 0
    diagonal = option_margin([leg("C", 100, -1), leg("C", 110, 1, FAR)])
    assert diagonal.requirement == 1000 * DOLLAR
    reverse = option_margin([leg("C", 100, 1), leg("C", 100, -1, FAR)])
    assert [qty for _, qty in reverse.uncovered] == [1]


def test_shares_cover_calls_by_the_hundred() -> None:
    short = [leg("C", 100, -3)]
    assert [qty for _, qty in option_margin(short).uncovered] == [3]
    partly = option_margin(short, {"SPY": 250})
    assert [qty for _, qty in partly.uncovered] == [1]
    assert partly.shares_used == {"SPY": 200}
    assert option_margin(short, {"SPY": -300}).shares_used == {}


def test_every_short_leg_needs_a_long_one_inside_the_order() -> None:
    assert uncovered_legs([leg("P", 95, -1), leg("P", 90, 1)]) == ()
    assert [c.strike for c, _ in uncovered_legs([leg("P", 95, -1), leg("C", 90, 1)])] == [95]
    assert uncovered_legs([leg("C", 95, -2), leg("C", 90, 1)])[0][1] == 1
    assert uncovered_legs([leg("C", 95, -1, FAR), leg("C", 90, 1, NEAR)])[0][1] == 1
    # The longer long must be kept for the longer short.
    legs = [leg("C", 95, -1, NEAR), leg("C", 95, -1, FAR), leg("C", 100, 1, NEAR), leg("C", 100, 1, FAR)]
    assert uncovered_legs(legs) == ()


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from("CP"), st.integers(80, 120), st.integers(-3, 3)), min_size=1, max_size=6),
    st.integers(0, 250),
)
def test_the_requirement_covers_every_price_at_one_expiration(legs: list[tuple[str, int, int]], price: int) -> None:
    holdings = [leg(right, strike, qty) for right, strike, qty in legs if qty]
    margin = option_margin(holdings)
    payoff = sum(q * c.multiplier * intrinsic_micros(c, price * DOLLAR) for c, q in holdings)
    naked = sum(q for _, q in margin.uncovered)
    shorts = sum(-q for c, q in holdings if c.is_call and q < 0)
    longs = sum(q for c, q in holdings if c.is_call and q > 0)
    assert naked == max(shorts - longs, 0)
    if not naked:
        assert margin.requirement >= -payoff
