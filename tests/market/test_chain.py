"""The chain state: what batches do to it, and what a snapshot says."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.market.chain import ChainSettings, ChainState, expiry_ns
from gammaray.market.columns import QuoteColumns, apply_quotes
from gammaray.market.quality import QualitySettings, quarantined
from gammaray.market.snapshot import Quality
from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import NANOS, from_datetime
from gammaray.types.instruments import OptionContract, Right
from gammaray.venues.protocol import QuoteBatch

MINUTE = 60 * NANOS
CALL = OptionContract("SPY", date(2018, 1, 12), 274_000, Right.CALL)
PUT = OptionContract("SPY", date(2018, 1, 12), 274_000, Right.PUT)


def rows(*quotes):
    """A batch of (symbol, ts_ns, bid, ask) in order of arrival, sizes one."""
    names = tuple(dict.fromkeys(symbol for symbol, *_ in quotes))
    return QuoteBatch(
        names=names,
        symbol=np.array([names.index(symbol) for symbol, *_ in quotes], dtype=np.int32),
        ts_ns=np.array([ts for _, ts, _, _ in quotes], dtype=np.int64),
        bid=np.array([bid for _, _, bid, _ in quotes]),
        ask=np.array([ask for _, _, _, ask in quotes]),
        bid_size=np.ones(len(quotes)),
        ask_size=np.ones(len(quotes)),
    )


def small_chain():
    chain = ChainState("SPY")
    chain.list_contracts([CALL, PUT])
    return chain


def test_the_newest_quote_wins_and_the_feed_s_faults_are_counted(now_ns):
    chain = small_chain()
    batch = rows(
        (CALL.symbol, now_ns, 1.0, 1.1),
        (CALL.symbol, now_ns + 2, 1.2, 1.3),
        (CALL.symbol, now_ns + 1, 9.0, 9.1),  # older than the row before: dropped
        (CALL.symbol, now_ns + 2, 1.2, 1.3),  # the same again
        ("SPY180112C00999000", now_ns, 1.0, 1.1),  # not listed
        ("SPY", now_ns, 273.9, 274.1),
    )
    assert chain.apply(batch) == 3
    feed = chain.feed
    assert (feed.quotes, feed.accepted, feed.duplicates, feed.out_of_order, feed.unknown) == (6, 3, 1, 1, 1)
    snapshot = chain.snapshot(now_ns + 3, True)
    row = snapshot.table.index[CALL.symbol]
    assert (snapshot.bid[row], snapshot.ask[row], snapshot.quote_ts_ns[row]) == (1.2, 1.3, now_ns + 2)
    assert snapshot.spot == 274.0
    assert snapshot.quotes_seen == 6


def test_silence_within_a_day_is_a_gap_and_a_night_is_not(now_ns):
    chain = small_chain()
    chain.apply(rows(("SPY", now_ns, 273.9, 274.1)))
    chain.apply(rows(("SPY", now_ns + 1799 * NANOS, 273.9, 274.1)))
    assert chain.feed.gaps == 0
    chain.apply(rows(("SPY", now_ns + 3600 * NANOS, 273.9, 274.1)))
    assert chain.feed.gaps == 1
    chain.apply(rows(("SPY", now_ns + 86_400 * NANOS, 273.9, 274.1)))
    assert chain.feed.gaps == 1


def test_after_an_announced_gap_only_confirmed_quotes_are_good(now_ns, contracts, quote):
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    batch = quote(chain, now_ns)
    chain.apply(batch)
    before = chain.snapshot(now_ns, True)
    chain.note_gap()
    assert (chain.snapshot(now_ns, True).quality & Quality.STALE).all()
    # The backfill repeats the quotes that are known already: duplicates, which confirm them.
    assert chain.apply(batch) == 0
    assert np.array_equal(chain.snapshot(now_ns, True).quality, before.quality)


def test_implied_volatilities_and_greeks_agree_with_the_surface_that_quoted(now_ns, contracts, quote):
    from gammaray.market.level_surface import LevelSurface

    chain = ChainState("SPY")
    assert chain.list_contracts(contracts) == 400
    chain.apply(quote(chain, now_ns, level=0.12))
    snapshot = chain.snapshot(now_ns, True)
    assert len(snapshot.surface) == 4
    truth = LevelSurface(0.12)
    for piece in snapshot.surface:
        assert piece.forward == pytest.approx(274.0 * np.exp(0.02 * piece.tau), rel=2e-5)
        assert piece.atm_volatility == pytest.approx(float(truth.implied_volatility(0.0, piece.tau)), abs=1e-3)
        assert piece.inside_share > 0.95
        assert piece.skew_25d > 0.0
    assert snapshot.surface_rmse < 0.005
    near = snapshot.good() & (np.abs(snapshot.table.strike - 274.0) < 5.0)
    k = np.log(snapshot.table.strike / (274.0 * np.exp(0.02 * snapshot.tau)))
    fair = truth.implied_volatility(k, snapshot.tau)
    assert np.abs(snapshot.implied_volatility - fair)[near].max() < 0.01
    # Put and call of one strike differ in delta by the discounted forward ratio, here 1 (no dividends).
    calls, puts = snapshot.table.is_call & near, ~snapshot.table.is_call & near
    assert snapshot.delta[calls] - snapshot.delta[puts] == pytest.approx(np.ones(calls.sum()), abs=0.01)
    assert (snapshot.theta[near] < 0.0).all()
    assert (snapshot.vega[near] > 0.0).all()
    assert np.isfinite(snapshot.delta).all(), "contracts without a good quote take the surface's volatility"
    assert snapshot.model_price[near] == pytest.approx(snapshot.mid[near], abs=0.05)


def test_bad_quotes_are_quarantined_with_their_reasons(now_ns, contracts, quote):
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    batch = quote(chain, now_ns)
    index = chain.table.index
    bad = {
        "SPY180119C00274000": (2.0, 1.0, Quality.CROSSED),
        "SPY180119P00274000": (1.5, 1.5, Quality.LOCKED),
        "SPY180119C00273000": (np.nan, 3.0, Quality.MISSING_BID),
        "SPY180119P00273000": (1.0, 0.0, Quality.MISSING_ASK),
        "SPY180119C00272000": (-1.0, 3.0, Quality.NEGATIVE),
        "SPY180119C00250000": (20.0, 21.0, Quality.OUT_OF_BOUNDS),  # intrinsic value is 24
        "SPY180119P00299000": (300.0, 301.0, Quality.OUT_OF_BOUNDS),  # above its strike
    }
    for symbol, (bid, ask, _) in bad.items():
        batch.bid[index[symbol]], batch.ask[index[symbol]] = bid, ask
    chain.apply(batch)
    snapshot = chain.snapshot(now_ns, True)
    found = dict(quarantined(snapshot))
    assert {symbol: found[symbol] for symbol in bad} == {symbol: flag for symbol, (_, _, flag) in bad.items()}
    assert np.isnan(snapshot.implied_volatility[[index[symbol] for symbol in bad]]).all()
    assert chain.quality_counts.by_reason()["out_of_bounds"] == 2


def test_a_quote_that_moves_alone_is_quarantined_once(now_ns, contracts, quote):
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    symbol = "SPY180119C00276000"
    flags = []
    for step, factor in enumerate((1.0, 3.0, 3.0)):
        batch = quote(chain, now_ns + step * MINUTE)
        row = chain.table.index[symbol]
        batch.bid[row] *= factor
        batch.ask[row] *= factor
        chain.apply(batch)
        snapshot = chain.snapshot(now_ns + step * MINUTE, True)
        flags.append(int(snapshot.quality[row]))
        assert np.count_nonzero(snapshot.quality & Quality.JUMP) == (step == 1)
    # The second time it is where it was before, and no jump; that it contradicts its neighbours is another matter.
    assert flags == [0, Quality.JUMP, Quality.OUT_OF_BOUNDS]


def test_a_shock_of_the_whole_market_is_no_jump(now_ns, contracts, quote):
    # 5 February 2018: the index fell 4 % and VIX went from 17 to 37.
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    chain.apply(quote(chain, now_ns, spot=274.0, level=0.17))
    chain.snapshot(now_ns, True)
    chain.apply(quote(chain, now_ns + MINUTE, spot=263.0, level=0.37))
    snapshot = chain.snapshot(now_ns + MINUTE, True)
    assert np.count_nonzero(snapshot.quality & Quality.JUMP) == 0
    assert snapshot.atm_volatility(21 / 365) == pytest.approx(0.37, abs=0.04)


def test_age_makes_a_quote_stale_once_the_spot_has_left_it_behind(now_ns, contracts, quote):
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    chain.apply(quote(chain, now_ns))
    chain.snapshot(now_ns, True)
    later = now_ns + 1000 * NANOS
    chain.apply(rows(("SPY", later, 274.0 - 0.01, 274.0 + 0.01)))
    assert not (chain.snapshot(later, True).quality & Quality.STALE).any(), "the spot has not moved"
    chain.apply(rows(("SPY", later + 1, 276.0 - 0.01, 276.0 + 0.01)))
    snapshot = chain.snapshot(later + 1, True)
    stale = (snapshot.quality & Quality.STALE) > 0
    index = snapshot.table.index
    assert stale[index["SPY180112C00274000"]], "half a delta of two dollars is beyond its spread"
    assert not stale[index["SPY180112P00251000"]], "a delta of zero hides any move"
    night = now_ns + 24 * 3600 * NANOS
    chain.apply(rows(("SPY", night, 274.0 - 0.01, 274.0 + 0.01)))
    assert (chain.snapshot(night, True).quality & Quality.STALE).all()


def test_a_mute_feed_makes_everything_stale(now_ns, contracts, quote):
    chain = ChainState("SPY", ChainSettings(quality=QualitySettings(spot_stale_after_s=60.0)))
    chain.list_contracts(contracts)
    chain.apply(quote(chain, now_ns))
    assert not (chain.snapshot(now_ns + 60 * NANOS, True).quality & Quality.STALE).any()
    assert (chain.snapshot(now_ns + 61 * NANOS, True).quality & Quality.STALE).all()


def test_listing_and_expiry_keep_the_state_of_the_others(now_ns, contracts, quote):
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    chain.apply(quote(chain, now_ns))
    before = chain.snapshot(now_ns, True)
    new = OptionContract("SPY", date(2018, 1, 19), 274_500, Right.CALL)
    assert chain.list_contracts([new, *contracts[:3]]) == 1
    after = chain.snapshot(now_ns, True)
    kept = [after.table.index[symbol] for symbol in before.table.symbols]
    assert len(after.table) == 401
    assert np.array_equal(after.bid[kept], before.bid)
    assert np.array_equal(after.quality[kept], before.quality)
    assert after.quality[after.table.index[new.symbol]] == Quality.MISSING_BID | Quality.MISSING_ASK | Quality.STALE
    assert np.isfinite(after.delta[after.table.index[new.symbol]]), "a new listing has the surface's delta at once"
    close = from_datetime(datetime(2018, 1, 12, 16, 0, tzinfo=NEW_YORK))
    assert len(chain.snapshot(close - 1, True).table) == 401
    assert len(chain.snapshot(close, True).table) == 301
    row = chain.table.index["SPY180119C00274000"]
    assert chain.snapshot(close, True).bid[row] == before.bid[before.table.index["SPY180119C00274000"]]


def test_without_a_spot_nothing_is_good_and_nothing_breaks(now_ns):
    chain = small_chain()
    chain.apply(rows((CALL.symbol, now_ns, 1.0, 1.1)))
    snapshot = chain.snapshot(now_ns, True)
    assert (snapshot.quality & Quality.STALE).all()
    assert np.isnan(snapshot.delta).all()
    assert snapshot.surface == ()
    assert np.isnan(snapshot.atm_volatility(0.1))


def test_a_chain_too_thin_for_a_surface_still_has_volatilities(now_ns):
    chain = small_chain()
    chain.apply(
        rows((CALL.symbol, now_ns, 1.40, 1.44), (PUT.symbol, now_ns, 1.30, 1.34), ("SPY", now_ns, 273.99, 274.01))
    )
    snapshot = chain.snapshot(now_ns, True)
    assert snapshot.surface == ()
    assert chain.surface_failures == 1
    assert np.isfinite(snapshot.implied_volatility).all()
    assert snapshot.delta[snapshot.table.index[CALL.symbol]] == pytest.approx(0.52, abs=0.03)


def test_minutes_before_expiry_the_pass_still_holds(now_ns, contracts, quote):
    close = from_datetime(datetime(2018, 1, 12, 16, 0, tzinfo=NEW_YORK))
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    at = close - 2 * MINUTE
    chain.apply(quote(chain, at))
    snapshot = chain.snapshot(at, True)
    assert np.isfinite(snapshot.delta).all()
    deep = snapshot.table.index["SPY180112C00260000"]
    assert snapshot.delta[deep] == pytest.approx(1.0, abs=1e-6)


def test_malformed_input_is_refused_by_name(now_ns):
    chain = small_chain()
    batch = rows((CALL.symbol, now_ns, 1.0, 1.1))
    with pytest.raises(ValueError, match="ask: expected shape"):
        chain.apply(replace(batch, ask=np.array([1.0, 2.0])))
    with pytest.raises(ValueError, match="symbol: expected indices"):
        chain.apply(replace(batch, symbol=np.array([1], dtype=np.int32)))
    with pytest.raises(ValueError, match="AAPL180112C00100000 is not on SPY"):
        chain.list_contracts([OptionContract("AAPL", date(2018, 1, 12), 100_000, Right.CALL)])
    with pytest.raises(ValueError, match="rate"):
        ChainSettings(rate=2.0)
    with pytest.raises(ValueError, match="jump_share"):
        QualitySettings(jump_share=-0.1)


def test_trading_ends_with_the_session_also_on_half_days():
    calendar = TradingCalendar(date(2017, 11, 20), date(2017, 11, 30))
    half_day = date(2017, 11, 24)  # the day after Thanksgiving closes at 13:00
    assert expiry_ns(half_day, calendar) == from_datetime(datetime(2017, 11, 24, 13, 0, tzinfo=NEW_YORK))
    assert expiry_ns(half_day) == from_datetime(datetime(2017, 11, 24, 16, 0, tzinfo=NEW_YORK))


def test_a_snapshot_of_a_thousand_contracts_fits_its_budget(now_ns, quote):
    # 25 ms on one core; the processor's own time is taken, which other work on the machine does not lengthen.
    fridays = [date(2018, 1, 12) + timedelta(days=7 * i) for i in range(10)]
    chain = ChainState("SPY")
    chain.list_contracts(
        OptionContract("SPY", d, 1000 * k, right) for d in fridays for k in range(250, 300) for right in Right
    )
    assert len(chain.table) == 1000
    spent = []
    for step in range(8):
        at = now_ns + step * MINUTE
        chain.apply(quote(chain, at, spot=274.0 + 0.05 * step))
        start = time.process_time()
        snapshot = chain.snapshot(at, True)
        spent.append(time.process_time() - start)
    assert len(snapshot.surface) == 10
    assert sorted(spent)[4] < 0.025


quote_columns = st.lists(
    st.tuples(st.integers(-1, 2), st.integers(1, 6), st.one_of(st.just(float("nan")), st.integers(1, 3).map(float))),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(quote_columns)
def test_the_compiled_update_equals_the_plain_one(quotes):
    def run(update):
        columns = QuoteColumns(3)
        rows = np.array([row for row, _, _ in quotes], dtype=np.int64)
        ts = np.array([ts for _, ts, _ in quotes], dtype=np.int64)
        price = np.array([price for _, _, price in quotes], dtype=np.float64)
        state = (columns.ts_ns, columns.bid, columns.ask, columns.bid_size, columns.ask_size, columns.confirmed)
        counts = update(rows, ts, price, price, np.ones(len(quotes)), np.ones(len(quotes)), *state)
        return tuple(counts), [column.tobytes() for column in state]

    assert run(apply_quotes) == run(apply_quotes.py_func)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([CALL.symbol, PUT.symbol, "SPY"]), st.integers(1, 20), st.integers(1, 5)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 39),
)
def test_how_quotes_are_cut_into_batches_changes_nothing(quotes, cut):
    def state(*batches):
        chain = small_chain()
        for batch in batches:
            if batch:
                chain.apply(rows(*((symbol, ts, float(size), size + 1.0) for symbol, ts, size in batch)))
        snapshot = chain.snapshot(100, True)
        return chain.feed, snapshot.bid.tobytes(), snapshot.quote_ts_ns.tobytes(), snapshot.spot

    whole, parts = state(quotes), state(quotes[:cut], quotes[cut:])
    assert repr(whole) == repr(parts)
