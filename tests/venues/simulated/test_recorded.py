"""Recorded quotes replayed: from a small file written here, and from the real ones where they lie beside the checkout."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gammaray.types.clock import format_ns
from gammaray.venues.simulated.exchange import Exchange
from gammaray.venues.simulated.in_process import InProcessVenue
from gammaray.venues.simulated.model import ExchangeReject, ExchangeSettings, Ticket
from gammaray.venues.simulated.scenario import build_scenario

CENT = 10_000


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    table["ts"] = pd.to_datetime(table["ts"], utc=True).astype("datetime64[ns, UTC]")
    if "expiration" in table:
        table["expiration"] = [date.fromisoformat(text) for text in table["expiration"]]
    table.to_parquet(path)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Three minutes of one underlying with two contracts on 24 December 2015, a half day that closed at 18:00 UTC."""
    option = {
        "underlying": "ACME",
        "root": "ACME",
        "expiration": "2015-12-31",
        "strike": 100.0,
        "underlying_price": 100.0,
    }

    def quote(ts, right, bid, ask, bid_size, ask_size):
        sides = {"bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size, "open_interest": 77.0}
        return option | {"ts": ts, "right": right} | sides

    folder = tmp_path / "options_intraday"
    write(
        folder / "ACME_20151224_quotes_1min.parquet",
        [
            quote("2015-12-24T14:31:00", "C", 2.0, 2.2, 10.0, 5.0),
            quote("2015-12-24T14:31:00", "P", np.nan, 1.9, np.nan, 4.0),
            quote("2015-12-24T14:32:00", "C", 2.1, 2.3, 10.0, 5.0),
            quote("2015-12-24T18:00:00", "P", 1.8, 1.9, 3.0, 4.0),
        ],
    )
    trade = {"underlying": "ACME", "expiration": "2015-12-31", "strike": 100.0, "right": "C"}
    write(
        folder / "ACME_20151224_trades_1min.parquet",
        [trade | {"ts": "2015-12-24T14:32:00", "open": 2.2, "high": 2.2, "low": 2.2, "close": 2.2, "volume": 3.0}],
    )
    write(
        folder / "ACME_20151224_underlying_quotes_1min.parquet",
        [
            {
                "ts": "2015-12-24T14:30:00",
                "symbol": "ACME",
                "bid": 99.9,
                "ask": 100.1,
                "bid_size": 300,
                "ask_size": 200,
            },
            {
                "ts": "2015-12-24T14:32:00",
                "symbol": "ACME",
                "bid": 100.0,
                "ask": 100.2,
                "bid_size": 300,
                "ask_size": 200,
            },
        ],
    )
    bar = {"symbol": "ACME", "volume": 1000.0}
    write(
        folder / "ACME_20151224_underlying_trades_1min.parquet",
        [
            bar | {"ts": "2015-12-24T14:31:00", "open": 100.0, "high": 100.3, "low": 99.8, "close": 100.0},
            bar | {"ts": "2015-12-24T14:32:00", "open": 100.0, "high": 100.2, "low": 100.0, "close": 100.1},
            bar | {"ts": "2015-12-24T18:00:00", "open": 100.1, "high": 100.6, "low": 100.1, "close": 100.5},
            bar | {"ts": "2015-12-24T18:05:00", "open": 101.0, "high": 101.0, "low": 101.0, "close": 101.0},
        ],
    )
    return tmp_path


def test_it_quotes_what_was_recorded(recorded: Path) -> None:
    exchange = Exchange(build_scenario("recorded", seed=1, data=recorded))
    assert [format_ns(ts) for ts in exchange.step_times()] == [
        "2015-12-24T14:31:00Z",
        "2015-12-24T14:32:00Z",
        "2015-12-24T18:00:00Z",
    ]
    call, put = "ACME151231C00100000", "ACME151231P00100000"
    (first,) = exchange.advance_to(exchange.step_times()[0])
    assert first.symbols == (call, put, "ACME")
    assert first.bid_cents.tolist() == [200, 0, 9_990]
    assert first.ask_cents.tolist() == [220, 190, 10_010]
    assert exchange.contract(put).open_interest == 77
    # Two of the five offered: the recorded price, and the size goes down.
    exchange.submit(Ticket(call, 2, "buy", "market", "day"))
    assert exchange.drain_events()[-1].executions[0].price == 220 * CENT
    assert exchange.quote(call).ask_size == 3
    exchange.submit(Ticket(put, 1, "buy", "limit", "day", limit_price=180 * CENT))
    (second,) = exchange.advance_to(exchange.step_times()[1])
    # The put was not quoted anew, but our own bid shows in it.
    assert second.symbols == (call, put, "ACME")
    assert second.bid_cents.tolist() == [210, 180, 10_000]
    # The recorded trade at 2.20 lay above the middle of 2.10: a buyer, who takes 3 of the new offer of 5.
    assert [(t.symbol, t.price_cents, t.qty) for t in second.trades] == [
        (call, 220, 2),
        ("ACME", 10_010, 100),
        (call, 230, 3),
    ]
    assert exchange.quote(call).ask_size == 2
    assert exchange.quote(put).ask_cents == 190, "not quoted anew: it stands"
    exchange.advance_to(exchange.step_times()[2])
    assert exchange.bars("ACME", start_ns=0, end_ns=exchange.clock_ns(), step="1Day")[-1].close == 100.5
    assert [b.high for b in exchange.bars("ACME", start_ns=0, end_ns=exchange.clock_ns(), step="1Min")] == [
        100.3,
        100.2,
        100.6,
    ]


def test_index_options_pay_cash(tmp_path: Path) -> None:
    rows = [
        {
            "ts": f"2018-01-{day}T21:00:00",
            "underlying": "SPX",
            "root": "SPXW",
            "expiration": "2018-01-05",
            "strike": 2700.0,
            "right": right,
            "bid": 20.0,
            "ask": 21.0,
            "bid_size": np.nan,
            "ask_size": np.nan,
            "open_interest": 5.0,
            "underlying_price": level,
        }
        for day, level in (("04", 2723.99), ("05", 2743.15))
        for right in "CP"
    ]
    write(tmp_path / "options_eod" / "SPXW_201801.parquet", rows)
    exchange = Exchange(
        build_scenario("recorded", seed=1, data=tmp_path), ExchangeSettings(cash=1_000_000_000_000, fees=False)
    )
    exchange.advance_to(exchange.step_times()[0])
    call = "SPXW180105C02700000"
    exchange.submit(Ticket(call, 1, "buy", "market", "day"))
    with pytest.raises(ExchangeReject, match="cannot be exercised before"):
        exchange.exercise(call)
    with pytest.raises(ExchangeReject, match="not tradable"):
        exchange.submit(Ticket("SPX", 1, "buy", "market", "day"))
    exchange.advance_to(exchange.step_times()[-1])
    assert exchange.positions() == []
    # Bought at 21.00, settled at 2743.15 − 2700 = 43.15.
    assert exchange.account().cash == 1_000_000_000_000 + (4_315 - 2_100) * 100 * CENT
    kinds = [(a.kind.value, a.sub_kind, a.net_amount) for a in InProcessVenue(exchange).activities()]
    assert kinds[1:] == [("OPEXC", "", 0), ("CASH", "OPCSH", 4_315 * 100 * CENT)]


@pytest.mark.shared
def test_the_real_minute_quotes_of_goog(shared_dir: Path) -> None:
    exchange = Exchange(build_scenario("recorded", seed=1, data=shared_dir / "data"))
    assert len(exchange.listed("GOOG")) == 2192
    assert len(exchange.step_times()) == 210
    published = exchange.advance_to(exchange.step_times()[-1])
    # 308,099 recorded rows; what is left out is the rows after the close and those that repeat the quote that stood.
    assert sum(len(p.symbols) for p in published) > 230_000
    assert exchange.scenario.official_close("GOOG", date(2015, 12, 24)) == 74_840
    bars = exchange.bars("GOOG", start_ns=0, end_ns=exchange.clock_ns(), step="1Day")
    assert len(bars) == 400
    assert bars[-2].close == pytest.approx(750.31)


@pytest.mark.shared
def test_the_real_daily_chains_of_spx(shared_dir: Path) -> None:
    scenario = build_scenario(
        "recorded", seed=1, data=shared_dir / "data", first=date(2018, 2, 2), last=date(2018, 2, 8)
    )
    exchange = Exchange(scenario)
    exchange.advance_to(exchange.step_times()[-1])
    assert len(exchange.step_times()) == 10
    # The file has no official close: the level of its snapshot. S&P 500 on that day: 2648.94.
    assert scenario.official_close("SPX", date(2018, 2, 5)) == pytest.approx(264_894, abs=10)
