"""Generated scenarios: real days are hit, quotes are sane, contracts are listed as exchanges list them, and a seed gives the same bytes."""

from __future__ import annotations

import time
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import to_datetime
from gammaray.venues.simulated.exchange import Exchange
from gammaray.venues.simulated.listing import ListingRules, third_friday
from gammaray.venues.simulated.scenario import build_scenario
from gammaray.venues.simulated.scenario.history import history_scenario, index_history, volatility_history
from gammaray.venues.simulated.scenario.paths import bridge_day
from gammaray.venues.simulated.scenario.synthetic import SyntheticModel, draw_regimes

SHOCK = (date(2018, 1, 29), date(2018, 2, 9))


@pytest.fixture(scope="module")
def shock():
    return history_scenario(seed=7, first=SHOCK[0], last=SHOCK[1])


def test_the_default_run_reaches_from_october_to_march() -> None:
    scenario = build_scenario("history", seed=7)
    first, last = (to_datetime(ns).astimezone(NEW_YORK) for ns in (scenario.step_times[0], scenario.step_times[-1]))
    assert first == datetime(2017, 10, 2, 9, 30, tzinfo=NEW_YORK)
    assert last == datetime(2018, 3, 29, 16, 0, tzinfo=NEW_YORK)
    # 125 sessions; 24 November closed at 13:00 and has 8 steps, the others 14.
    assert len(scenario.step_times) == 123 * 14 + 8


def test_history_hits_open_high_low_and_close_of_the_real_index(shock) -> None:
    real = {bar[0]: bar[1:] for bar in index_history()}
    bars = {daily.day: daily.bar for daily in shock.daily_bars("SPY")}
    for day in (date(2018, 2, 5), date(2018, 2, 6), date(2018, 2, 8)):
        open_, high, low, close, _ = real[day]
        bar = bars[day]
        assert bar.open == pytest.approx(open_ / 10, abs=1e-9)
        assert bar.close == pytest.approx(close / 10, abs=1e-9)
        assert bar.high == pytest.approx(max(high, open_, close) / 10, rel=2e-3)
        assert bar.low == pytest.approx(min(low, open_, close) / 10, rel=2e-3)
    # S&P 500 of 5 February 2018: 2648.94.
    assert shock.official_close("SPY", date(2018, 2, 5)) == 26_489


def test_daily_bars_reach_back_to_1999_and_show_nothing_of_the_future(shock) -> None:
    exchange = Exchange(shock)
    times = exchange.step_times()
    exchange.advance_to(times[14 * 5 + 3])
    bars = exchange.bars("SPY", start_ns=0, end_ns=times[-1], step="1Day")
    days = [to_datetime(bar.ts_ns).astimezone(NEW_YORK).date() for bar in bars]
    assert days[0] == date(1999, 1, 4)
    assert days[-1] == date(2018, 2, 5)
    assert bars[-1].close > 264.9, "half past eleven: the close at 264.89 is still to come"
    minutes = exchange.bars("SPY", start_ns=times[14 * 5], end_ns=times[-1], step="1Min")
    assert len(minutes) == 90
    exchange.advance_to(times[14 * 6 - 1])
    assert exchange.bars("SPY", start_ns=0, end_ns=times[-1], step="1Day")[-1].close == pytest.approx(264.894, abs=1e-3)


def test_the_surface_level_is_vix_at_the_close(shock) -> None:
    """The 30-day variance-swap rate implied by the quotes, by the strip over out-of-the-money mids, is near the VIX of the day."""
    for day in (date(2018, 1, 29), date(2018, 1, 31), date(2018, 2, 2)):
        step = [i for i, ts in enumerate(shock.step_times) if to_datetime(ts).date() == day][-1]
        frame = shock.frame(step)
        columns = shock.table.columns
        spot = (frame.bid[-1] + frame.ask[-1]) / 200
        estimates = []
        for expiry in np.unique(columns.expiry_ns[frame.rows[:-1]]):
            tau = (expiry - frame.ts_ns) / (365 * 86_400e9)
            if not 20 / 365 < tau < 45 / 365:
                continue
            mine = np.flatnonzero(columns.expiry_ns[frame.rows[:-1]] == expiry)
            rows = frame.rows[mine]
            strike = columns.strike[rows]
            out = np.where(columns.is_call[rows], strike > spot, strike <= spot)
            order = np.argsort(strike[out])
            mid = ((frame.bid + frame.ask) / 200)[mine][out][order]
            k = strike[out][order]
            estimates.append(np.sqrt(2 / tau * np.sum(np.gradient(k) / k**2 * mid)))
        # The listed strikes end at ±12 %, which holds the distribution of a calm market but for the last put wing.
        assert np.mean(estimates) == pytest.approx(volatility_history()[day], rel=0.1)


def test_quotes_are_sane_at_every_step(shock) -> None:
    columns = shock.table.columns
    for step in range(0, len(shock.step_times), 3):
        frame = shock.frame(step)
        assert 700 <= len(frame.rows) <= 1500
        two_sided = (frame.bid_size > 0) & (frame.ask_size > 0)
        assert np.all(frame.ask[two_sided] > frame.bid[two_sided])
        assert np.all((frame.bid_size >= 0) & (frame.ask_size > 0))
        assert np.all((frame.bid_size == 0) == (frame.bid == 0))
        options = frame.rows[:-1]
        columns = shock.table.columns
        spot = (frame.bid[-1] + frame.ask[-1]) / 2
        sign = np.where(columns.is_call[options], 1, -1)
        intrinsic = np.maximum(sign * (spot - 100 * columns.strike[options]), 0)
        assert np.all(frame.ask[:-1] >= intrinsic - 2), "no ask below what exercise gives"


def test_listing_grows_with_the_spot_and_expirations_roll(shock) -> None:
    exchange = Exchange(shock)
    exchange.advance_to(exchange.step_times()[0])
    first = {row.contract.symbol for row in exchange.listed("SPY")}
    expirations = sorted({row.contract.expiration for row in exchange.listed("SPY")})
    assert expirations[:4] == [date(2018, 2, 2), date(2018, 2, 9), date(2018, 2, 16), date(2018, 2, 23)]
    assert third_friday(2018, 6) in expirations
    exchange.advance_to(exchange.step_times()[-1])
    assert exchange.last_trade_cents("SPY") == (exchange.clock_ns(), shock.official_close("SPY", SHOCK[1]))
    later = {row.contract.symbol for row in exchange.listed("SPY") if row.status == "active"}
    assert "SPY180316C00230000" in later - first
    assert not any(symbol.startswith("SPY180202") for symbol in later)
    expired = exchange.contract("SPY180202C00280000")
    assert expired.status == "inactive"
    assert exchange.contract(expired.contract_id) == expired


def test_holidays_move_an_expiration() -> None:
    calendar = TradingCalendar(date(2018, 3, 1), date(2018, 12, 31))
    # Good Friday, 30 March 2018.
    assert date(2018, 3, 29) in ListingRules().expirations(date(2018, 3, 20), calendar)
    assert date(2018, 3, 30) not in ListingRules().expirations(date(2018, 3, 20), calendar)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    def run(seed: int) -> list[bytes]:
        exchange = Exchange(build_scenario("synthetic", seed=seed, first=date(2024, 1, 2), last=date(2024, 1, 4)))
        published = exchange.advance_to(exchange.step_times()[-1])
        return [p.bid_cents.tobytes() + p.ask_size.tobytes() + repr(p.trades).encode() for p in published]

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_synthetic_has_jumps_regimes_and_correlated_underlyings() -> None:
    model = SyntheticModel()
    states = draw_regimes(np.random.default_rng(1), model, 4000)
    assert set(states.tolist()) == {0, 1, 2}
    assert np.mean(states[1:] == states[:-1]) == pytest.approx(0.97, abs=0.015)
    scenario = build_scenario("synthetic", seed=1)
    closes = {u: np.array([d.bar.close for d in scenario.daily_bars(u)]) for u in ("SPY", "QQQ")}
    returns = {u: np.diff(np.log(c)) for u, c in closes.items()}
    assert np.corrcoef(returns["SPY"], returns["QQQ"])[0, 1] > 0.7
    assert 0.1 < returns["SPY"].std() * np.sqrt(252) < 0.35
    assert len(closes["SPY"]) > 400, "the run-up comes before the first session"


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(10, 1000),
    st.floats(-0.05, 0.05),
    st.floats(0, 0.03),
    st.floats(0, 0.03),
)
def test_a_bridge_stays_in_its_bar_and_ends_where_it_should(seed, open_, move, up, down) -> None:
    close = open_ * (1 + move)
    high, low = max(open_, close) * (1 + up), min(open_, close) * (1 - down)
    path = bridge_day(np.random.default_rng(seed), 390, open_, high, low, close)
    assert len(path) == 391
    assert path[0] == open_
    assert path[-1] == close
    assert low <= path.min()
    assert path.max() <= high


def test_a_step_is_quick(shock) -> None:
    exchange = Exchange(shock)
    exchange.advance_to(exchange.step_times()[0])
    started = time.process_time()
    exchange.advance_to(exchange.step_times()[60])
    # CPU time, so that a busy machine does not count: measured at about 1 ms a step of 900 contracts.
    assert (time.process_time() - started) / 60 < 0.015


def test_what_cannot_be_built_says_why(tmp_path) -> None:
    with pytest.raises(ValueError, match="name: expected one of history, synthetic, recorded"):
        build_scenario("mystery", seed=1)
    with pytest.raises(ValueError, match="no VIX for"):
        build_scenario("history", seed=1, first=date(2010, 1, 4), last=date(2010, 2, 1))
    with pytest.raises(ValueError, match="no session"):
        build_scenario("history", seed=1, first=date(2030, 1, 4), last=date(2030, 2, 1))
    with pytest.raises(ValueError, match="data: no recorded option quotes"):
        build_scenario("recorded", seed=1, data=tmp_path)
    with pytest.raises(ValueError, match="data: expected with scenario recorded"):
        build_scenario("history", seed=1, data=tmp_path)
    with pytest.raises(ValueError, match="steps_per_session"):
        build_scenario("history", seed=1, steps_per_session=0)
