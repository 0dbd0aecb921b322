from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.types.instruments import OptionContract, Right, is_occ, parse_occ


def test_symbol_is_alpacas_unpadded_form() -> None:
    contract = OptionContract("AAPL", date(2026, 12, 18), 250_000, Right.CALL)
    assert contract.symbol == "AAPL261218C00250000"
    assert parse_occ("AAPL261218C00250000") == contract
    assert parse_occ("AAPL  261218C00250000") == contract


@given(
    st.from_regex(r"[A-Z]{1,5}", fullmatch=True),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.integers(1, 99_999_999),
    st.sampled_from(Right),
)
def test_every_contract_round_trips(root: str, expiration: date, strike_milli: int, right: Right) -> None:
    contract = OptionContract(root, expiration, strike_milli, right)
    assert parse_occ(contract.symbol) == contract
    assert is_occ(contract.symbol)


@pytest.mark.parametrize(
    "symbol", ["", "AAPL", "AAPL261218X00250000", "AAPL261318C00250000", "aapl261218C00250000", "AAPL261218C0025000"]
)
def test_malformed_symbols_are_named(symbol: str) -> None:
    with pytest.raises(ValueError, match="symbol"):
        parse_occ(symbol)


def test_fields_are_checked() -> None:
    with pytest.raises(ValueError, match="strike_milli"):
        OptionContract("SPY", date(2026, 1, 2), 0, Right.PUT)
    with pytest.raises(ValueError, match="underlying"):
        OptionContract("spy", date(2026, 1, 2), 1000, Right.PUT)
