"""The default surface on recorded chains: SPX of one day of 2019 at the close, GOOG at one minute of 2015."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gammaray.pricing.surface import ChainQuotes, Exclusion, VolatilitySurface

pytestmark = pytest.mark.shared


def spx(shared_dir: Path, day: str) -> ChainQuotes:
    rows = pd.read_parquet(shared_dir / f"data/options_eod/SPX_daily_2019/SPX_{day[:4]}{day[5:7]}.parquet")
    rows = rows[rows["ts"].dt.strftime("%Y-%m-%d") == day]
    expiration = pd.to_datetime(rows["expiration"])
    # SPX settles in the morning, six and a half hours before SPXW.
    morning = (rows["root"] == "SPX").to_numpy()
    tau = ((expiration - pd.Timestamp(day)).dt.days.to_numpy() - np.where(morning, 6.5 / 24.0, 0.0)) / 365.0
    return ChainQuotes(
        expiration=expiration.dt.strftime("%Y%m%d").astype(int).to_numpy() * 10 + ~morning,
        tau=tau,
        strike=rows["strike"].to_numpy(),
        is_call=(rows["right"] == "C").to_numpy(),
        bid=rows["bid"].to_numpy(),
        ask=rows["ask"].to_numpy(),
        spot=float(rows["underlying_price"].iloc[0]),
        volume=rows["volume"].to_numpy(),
    )


def goog(shared_dir: Path, minute: str) -> ChainQuotes:
    ts, key = pd.Timestamp(minute, tz="UTC"), ["expiration", "strike", "right"]
    quotes = pd.read_parquet(shared_dir / "data/options_intraday/GOOG_20151224_quotes_1min.parquet")
    trades = pd.read_parquet(shared_dir / "data/options_intraday/GOOG_20151224_trades_1min.parquet")
    quotes = quotes[quotes["ts"] <= ts].drop(columns="volume")
    traded = trades[trades["ts"] <= ts].groupby(key)["volume"].sum().reset_index()
    rows = quotes.groupby(key).last().reset_index().merge(traded, how="left", on=key)
    expiration = pd.to_datetime(rows["expiration"])
    close = (expiration + pd.Timedelta(hours=16)).dt.tz_localize("America/New_York")
    close[expiration == "2015-12-24"] = pd.Timestamp("2015-12-24 13:00", tz="America/New_York")
    return ChainQuotes(
        expiration=expiration.dt.strftime("%Y%m%d").astype(int).to_numpy(),
        tau=((close - ts).dt.total_seconds() / (365.0 * 86400.0)).to_numpy(),
        strike=rows["strike"].to_numpy(),
        is_call=(rows["right"] == "C").to_numpy(),
        bid=rows["bid"].to_numpy(),
        ask=rows["ask"].to_numpy(),
        spot=float(quotes["underlying_price"].iloc[-1]),
        volume=rows["volume"].fillna(0.0).to_numpy(),
    )


@pytest.mark.parametrize("day", ["2019-05-14", "2019-05-24", "2019-07-15"])
def test_spx_liquid_quotes_are_met_without_arbitrage(shared_dir: Path, day: str) -> None:
    quotes = spx(shared_dir, day)
    surface = VolatilitySurface.from_quotes(quotes)
    fit = surface.fit_report()
    assert len(fit.expiries) >= 38
    assert fit.liquid > 2000
    assert fit.liquid_inside_share >= 0.99
    assert fit.inside_share >= 0.99
    assert sum(fit.excluded.values()) + fit.quotes == len(quotes)
    assert set(fit.excluded) <= {Exclusion.ZERO_BID, Exclusion.IN_THE_MONEY, Exclusion.EXPIRED, Exclusion.MISSING_QUOTE}
    assert surface.arbitrage_report(points=301, between=3).is_free
    again = surface.refit(quotes)
    assert again.fit_report().liquid_inside_share >= 0.99
    assert again.arbitrage_report(points=301, between=1).is_free


def test_rate_implied_by_spx_parity_is_that_of_the_time(shared_dir: Path) -> None:
    surface = VolatilitySurface.from_quotes(spx(shared_dir, "2019-05-14"), "ssvi")
    rate = -np.log(surface.discount_at(np.array([0.25, 1.0])))
    # Treasury bills yielded 2.3 to 2.4 % that May; options imply a little more (the box rate).
    assert rate / np.array([0.25, 1.0]) == pytest.approx([0.026, 0.025], abs=0.003)


@pytest.mark.parametrize("minute", ["2015-12-24 15:00", "2015-12-24 17:30"])
def test_goog_liquid_quotes_are_met_without_arbitrage(shared_dir: Path, minute: str) -> None:
    surface = VolatilitySurface.from_quotes(goog(shared_dir, minute))
    fit = surface.fit_report()
    assert fit.liquid > 60
    assert fit.liquid_inside_share >= 0.95
    assert fit.inside_share >= 0.98
    assert surface.arbitrage_report(points=301, between=3).is_free
