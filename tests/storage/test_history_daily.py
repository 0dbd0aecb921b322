"""Daily records and snapshots in the history, and the importer of the data inside the arch wheel."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest

from gammaray.market.chain import ChainState
from gammaray.market.daily import DailyRecord
from gammaray.market.level_surface import LevelSurface
from gammaray.storage.history import History, HistoryTable
from gammaray.storage.history_daily import append_daily_records, append_snapshot, read_daily_records
from gammaray.storage.history_import import SOURCE, import_sp500, sp500_records
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import from_datetime
from gammaray.types.instruments import OptionContract, Right
from gammaray.venues.protocol import QuoteBatch

FAR = 2**62


def record(day, close=100.0, known_ns=0):
    ts_ns = from_datetime(datetime(day.year, day.month, day.day, 16, 0, tzinfo=NEW_YORK))
    return DailyRecord("SPY", day, ts_ns, 100.0, 101.0, 99.0, close, atm_iv_30d=0.2, source="test", known_ns=known_ns)


def test_records_come_back_bit_for_bit(tmp_path):
    history = History(tmp_path)
    records = [record(date(2017, 12, 29), 100.1), record(date(2018, 1, 2), 99.7)]
    assert append_daily_records(history, records) == 2
    assert append_daily_records(history, records) == 0
    found = read_daily_records(history, "SPY", until_ns=FAR)
    assert [repr(item) for item in found] == [repr(item) for item in records]
    assert read_daily_records(history, "QQQ", until_ns=FAR) == []


def test_reading_is_point_in_time(tmp_path):
    history = History(tmp_path)
    first, second = record(date(2018, 1, 2)), record(date(2018, 1, 3))
    correction = replace(first, close=99.5, known_ns=second.ts_ns + 5)
    append_daily_records(history, [first, second])
    append_daily_records(history, [correction])
    assert read_daily_records(history, "SPY", until_ns=first.ts_ns - 1) == []
    assert [item.close for item in read_daily_records(history, "SPY", until_ns=second.ts_ns)] == [100.0, 100.0]
    assert [item.close for item in read_daily_records(history, "SPY", until_ns=FAR)] == [99.5, 100.0]


def test_imported_records_are_the_published_prices_and_the_surface_at_vix():
    # S&P 500 on 2018-02-05: 2741.06, 2763.39, 2638.17, 2648.94; VIX closed at 37.32.
    (found,) = sp500_records(date(2018, 2, 5), date(2018, 2, 5), underlying="SPX")
    assert (found.open, found.high, found.low, found.close) == pytest.approx(
        (2741.06, 2763.39, 2638.17, 2648.94), abs=0.005
    )
    factors = LevelSurface(0.3732).factors()
    assert (found.atm_iv_30d, found.atm_iv_90d, found.skew_25d) == (factors.atm_30d, factors.atm_90d, factors.skew_25d)
    assert found.ts_ns == from_datetime(datetime(2018, 2, 5, 16, 0, tzinfo=NEW_YORK))
    assert found.source == SOURCE
    assert found.samples == 0
    assert math.isnan(found.relative_spread)
    (scaled,) = sp500_records(date(2018, 2, 5), date(2018, 2, 5), price_scale=0.1)
    assert scaled.close == pytest.approx(264.894, abs=0.0005)


def test_every_session_of_a_year_is_imported_once(tmp_path):
    history = History(tmp_path)
    # 2017 had 251 sessions.
    assert import_sp500(history, date(2017, 1, 1), date(2017, 12, 31)) == 251
    assert import_sp500(history, date(2017, 1, 1), date(2017, 12, 31)) == 0
    assert len(read_daily_records(history, "SPY", until_ns=FAR)) == 251


def test_days_that_the_data_does_not_cover_are_refused():
    with pytest.raises(ValueError, match="no day between 2030-01-01 and 2030-01-31"):
        sp500_records(date(2030, 1, 1), date(2030, 1, 31))


def test_a_snapshot_is_written_once_with_its_quoted_rows(tmp_path):
    now_ns = from_datetime(datetime(2018, 2, 5, 10, 0, tzinfo=NEW_YORK))
    chain = ChainState("SPY")
    call, put = (OptionContract("SPY", date(2018, 2, 16), 265_000, right) for right in (Right.CALL, Right.PUT))
    chain.list_contracts([call, put])
    one, stamps = np.ones(2), np.full(2, now_ns)
    bid, ask = np.array([5.0, 264.9]), np.array([5.2, 265.1])
    chain.apply(QuoteBatch((call.symbol, "SPY"), np.array([0, 1], np.int32), stamps, bid, ask, one, one))
    snapshot = chain.snapshot(now_ns, True)
    history = History(tmp_path)
    assert append_snapshot(history, snapshot)
    assert not append_snapshot(history, snapshot)
    rows = history.query(
        'SELECT symbol, expiration, strike, "right", bid, ask, spot, quality, date FROM chain_quotes'
    ).to_pylist()
    assert rows == [
        {
            "symbol": "SPY180216C00265000",
            "expiration": date(2018, 2, 16),
            "strike": 265.0,
            "right": "C",
            "bid": 5.0,
            "ask": 5.2,
            "spot": 265.0,
            "quality": 0,
            "date": date(2018, 2, 5),
        }
    ]
    assert not append_snapshot(history, ChainState("SPY").snapshot(now_ns, True)), "nothing was ever quoted"
    assert len(history.files(HistoryTable.CHAIN_QUOTES)) == 1
