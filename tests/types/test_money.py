from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.types.money import format_dollars, format_micros, price_to_micros, to_micros


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("1.05", 1_050_000),
        ("-1.05", -1_050_000),
        (2, 2_000_000),
        (Decimal("0.000001"), 1),
        ("0", 0),
        ("1e2", 100_000_000),
    ],
)
def test_text_becomes_exact_micros(value: str | int | Decimal, micros: int) -> None:
    assert to_micros(value) == micros


@pytest.mark.parametrize("value", [1.05, True, None, "abc", "", "NaN", "Infinity", "0.0000001"])
def test_inexact_or_senseless_amounts_are_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"^limit_price:"):
        to_micros(value, "limit_price")  # type: ignore[arg-type]


@given(st.integers(-(10**18), 10**18))
def test_format_and_parse_are_inverse(micros: int) -> None:
    assert to_micros(format_micros(micros)) == micros


def test_formats_have_no_trailing_zeros() -> None:
    assert [format_micros(m) for m in (1_050_000, 2_000_000, -500_000, 0, 1)] == ["1.05", "2", "-0.5", "0", "0.000001"]
    assert format_dollars(1_234_567_890) == "1,234.57"
    assert format_dollars(-5_000) == "-0.00"  # half a cent, to even


def test_a_float_price_goes_to_the_nearest_tick() -> None:
    # 1.055 is 1.05499999... in binary: nearest nickel is 1.05
    assert price_to_micros(1.055, 50_000) == 1_050_000
    assert price_to_micros(-0.337) == -340_000
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="price"):
            price_to_micros(bad)
