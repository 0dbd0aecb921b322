"""Validation of chain quotes, and what put-call parity implies from them."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.pricing.surface import ChainQuotes, Exclusion, prepare_chain
from gammaray.pricing.surface.black import otm_prices

SPOT, RATE, YIELD, TAU = 250.0, 0.05, 0.02, 0.4


def columns(strikes: int = 21) -> dict[str, object]:
    """One expiry, flat volatility of 30 %, spreads of four cents."""
    forward, discount = SPOT * np.exp((RATE - YIELD) * TAU), np.exp(-RATE * TAU)
    strike = np.linspace(180.0, 330.0, strikes)
    otm = discount * forward * otm_prices(np.log(strike / forward), np.full(strikes, 0.3 * np.sqrt(TAU)))
    call = otm + discount * np.maximum(forward - strike, 0.0)
    put = otm + discount * np.maximum(strike - forward, 0.0)
    price = np.concatenate([call, put])
    return {
        "expiration": np.full(2 * strikes, 20260116),
        "tau": np.full(2 * strikes, TAU),
        "strike": np.tile(strike, 2),
        "is_call": np.repeat([True, False], strikes),
        "bid": price - 0.02,
        "ask": price + 0.02,
        "spot": SPOT,
    }


def test_parity_gives_forward_and_discount() -> None:
    chain = prepare_chain(ChainQuotes(**columns()))  # type: ignore[arg-type]
    assert chain.forward[0] == pytest.approx(SPOT * np.exp((RATE - YIELD) * TAU), rel=1e-9)
    assert chain.discount[0] == pytest.approx(np.exp(-RATE * TAU), rel=1e-9)
    assert np.sqrt(chain.mid_variance / TAU) == pytest.approx(0.3, abs=1e-9)
    assert (chain.bid_variance < chain.mid_variance).all()
    assert (chain.mid_variance < chain.ask_variance).all()
    assert chain.labels.tolist() == [20260116]


def test_one_stale_pair_does_not_move_the_forward() -> None:
    fields = columns()
    bid, ask = np.array(fields["bid"]), np.array(fields["ask"])
    bid[4] += 7.0
    ask[4] += 7.0
    chain = prepare_chain(ChainQuotes(**(fields | {"bid": bid, "ask": ask})))  # type: ignore[arg-type]
    assert chain.forward[0] == pytest.approx(SPOT * np.exp((RATE - YIELD) * TAU), rel=2e-4)


def test_order_of_rows_does_not_matter() -> None:
    fields = columns()
    order = np.random.default_rng(0).permutation(len(np.asarray(fields["strike"])))
    shuffled = {name: np.asarray(value)[order] if np.ndim(value) else value for name, value in fields.items()}
    a, b = prepare_chain(ChainQuotes(**fields)), prepare_chain(ChainQuotes(**shuffled))  # type: ignore[arg-type]
    assert (a.k == b.k).all()
    assert (a.bid == b.bid).all()
    assert (order[b.row] == a.row).all()


def test_liquid_means_traded_today() -> None:
    fields = columns()
    volume = np.zeros(len(np.asarray(fields["strike"])))
    volume[15] = 12.0
    chain = prepare_chain(ChainQuotes(**fields, volume=volume))  # type: ignore[arg-type]
    assert chain.row[chain.liquid].tolist() == [15]


def test_expired_and_duplicate_rows_are_named() -> None:
    fields = columns()
    twice = {
        name: np.concatenate([np.asarray(value)] * 2) if np.ndim(value) else value for name, value in fields.items()
    }
    chain = prepare_chain(ChainQuotes(**twice))  # type: ignore[arg-type]
    assert chain.excluded == {Exclusion.DUPLICATE: 42, Exclusion.IN_THE_MONEY: 21}
    expired = np.concatenate([np.zeros(42), np.full(42, TAU)])
    two = np.concatenate([np.full(42, 1), np.full(42, 2)])
    chain = prepare_chain(ChainQuotes(**(twice | {"tau": expired, "expiration": two})))  # type: ignore[arg-type]
    assert chain.excluded == {Exclusion.EXPIRED: 42, Exclusion.IN_THE_MONEY: 21}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strike": np.full(42, -1.0)}, r"strike must be positive, got -1\.0 at row 0"),
        ({"tau": np.full(42, np.nan)}, "tau must be finite, got nan at row 0"),
        ({"bid": np.zeros(3)}, r"bid must have one value per row \(42,\), got shape \(3,\)"),
        ({"spot": 0.0}, r"spot must be positive and finite, got 0\.0"),
        ({"rate": np.inf}, "rate must be finite or None"),
    ],
)
def test_invalid_columns_are_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChainQuotes(**(columns() | change))  # type: ignore[arg-type]


def test_one_expiration_has_one_tau() -> None:
    fields = columns()
    tau = np.array(fields["tau"])
    tau[7] = 0.5
    with pytest.raises(ValueError, match="tau must be one value per expiration"):
        prepare_chain(ChainQuotes(**(fields | {"tau": tau})))  # type: ignore[arg-type]
