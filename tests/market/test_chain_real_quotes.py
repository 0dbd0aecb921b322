"""The chain state on recorded quotes: GOOG by the minute on 2015-12-24, SPX at a day's end in 2019."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gammaray.market.chain import ChainSettings, ChainState
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import from_datetime
from gammaray.types.instruments import OptionContract, Right
from gammaray.venues.protocol import QuoteBatch

pytestmark = pytest.mark.shared


def contract_of(row) -> OptionContract:
    return OptionContract(
        row["underlying"], row["expiration"], round(1000 * row["strike"]), Right(row["right"]), row["root"]
    )


def batch_of(rows, symbols, now_ns, spot_bid, spot_ask) -> QuoteBatch:
    def column(name, last):
        return np.array([np.nan if row[name] is None else row[name] for row in rows] + [last], dtype=np.float64)

    return QuoteBatch(
        names=tuple(symbols),
        symbol=np.arange(len(symbols), dtype=np.int32),
        ts_ns=np.full(len(symbols), now_ns),
        bid=column("bid", spot_bid),
        ask=column("ask", spot_ask),
        bid_size=np.nan_to_num(column("bid_size", 1.0)),
        ask_size=np.nan_to_num(column("ask_size", 1.0)),
    )


def test_goog_by_the_minute(shared_dir):
    table = pq.read_table(shared_dir / "data/options_intraday/GOOG_20151224_quotes_1min.parquet")
    table = table.filter(pc.is_valid(table["underlying_bid"]))
    chain = ChainState("GOOG", ChainSettings(rate=0.005))
    stamps = pc.unique(table["ts"]).sort()[30:90:10]
    first = table.filter(pc.less_equal(table["ts"], stamps[0])).to_pylist()
    chain.list_contracts({contract_of(row) for row in first})
    assert len(chain.table) > 2000
    for stamp in stamps:
        rows = table.filter(pc.equal(table["ts"], stamp)).to_pylist() if stamp != stamps[0] else first
        now_ns = stamp.value
        quoted = {contract_of(row).symbol: row for row in rows}  # the newest row of each
        last = rows[-1]
        chain.apply(
            batch_of(quoted.values(), [*quoted, "GOOG"], now_ns, last["underlying_bid"], last["underlying_ask"])
        )
        snapshot = chain.snapshot(now_ns, True)
    good = snapshot.good()
    # What is left out has no bid (deep out of the money) or lies too far from the money to be quoted fresh.
    assert good.mean() > 0.8
    assert len(snapshot.surface) >= 11
    share = np.average([piece.inside_share for piece in snapshot.surface], weights=[p.quotes for p in snapshot.surface])
    assert share > 0.95
    assert np.isfinite(snapshot.delta[good]).all()
    assert chain.quality_counts.by_reason().get("jump", 0) < 0.001 * chain.quality_counts.rows
    for piece in snapshot.surface:
        assert piece.forward == pytest.approx(snapshot.spot, rel=0.02)
        assert 0.05 < piece.atm_volatility < 0.6


def test_spx_implied_volatilities_agree_with_the_published_ones(shared_dir):
    day = date(2019, 5, 14)
    now_ns = from_datetime(datetime(2019, 5, 14, 16, 0, tzinfo=NEW_YORK))
    table = pq.read_table(shared_dir / "data/options_eod/SPX_daily_2019/SPX_201905.parquet")
    table = table.filter(pc.equal(pc.cast(table["ts"], "date32"), day))
    rows = [row for row in table.to_pylist() if row["root"] == "SPXW" and row["expiration"] > day]
    chain = ChainState("SPX", ChainSettings(rate=0.024))
    chain.list_contracts(contract_of({**row, "underlying": "SPX"}) for row in rows)
    spot = rows[0]["underlying_price"]
    symbols = [contract_of({**row, "underlying": "SPX"}).symbol for row in rows]
    chain.apply(batch_of(rows, [*symbols, "SPX"], now_ns, spot - 0.01, spot + 0.01))
    snapshot = chain.snapshot(now_ns, True)
    assert len(snapshot.table) > 4000
    assert snapshot.good().mean() > 0.8
    assert set(chain.quality_counts.by_reason()) == {"missing_bid"}, "a clean book: no rule cries wolf"
    published = np.full(len(snapshot.table), np.nan)
    for symbol, row in zip(symbols, rows, strict=True):
        published[snapshot.table.index[symbol]] = row["iv_source"] or np.nan
    # Near the money and a week to half a year out, where the source's own (unknown) rates and clock matter least.
    near = snapshot.good() & (np.abs(snapshot.delta) > 0.2) & (np.abs(snapshot.delta) < 0.5)
    near &= (snapshot.tau > 7 / 365) & (snapshot.tau < 0.5) & np.isfinite(published)
    difference = snapshot.implied_volatility[near] - published[near]
    assert near.sum() > 500
    assert np.median(np.abs(difference)) < 0.01
