"""Chains for the surface benchmark and its evidence: recorded ones from a folder laid out as shared/data/README.md says, and a generated one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gammaray.pricing.surface import ChainQuotes, SsviSurface, SviSmile
from gammaray.pricing.surface.black import otm_prices

MORNING = 6.5 / 24.0  # days by which SPX options settle before the close (SPXW)
YEAR = 365.0


def spx_days(data: Path) -> Iterator[tuple[str, ChainQuotes]]:
    """Every SPX and SPXW chain of 2019 in `data`, by day. The snapshots are taken as of the close."""
    import pandas as pd

    for path in sorted((data / "options_eod" / "SPX_daily_2019").glob("SPX_2019*.parquet")):
        for ts, rows in pd.read_parquet(path).groupby("ts"):
            yield str(ts)[:10], spx_chain(rows, ts)


def spx_chain(rows: Any, ts: Any) -> ChainQuotes:
    """One day of SPX rows; an expiration is the date with a last digit of 0 for settlement in the morning, 1 at the close."""
    import pandas as pd

    expiration = pd.to_datetime(rows["expiration"])
    morning = (rows["root"] == "SPX").to_numpy()
    today = ts.tz_convert("America/New_York").normalize().tz_localize(None)
    days = (expiration - today).dt.days.to_numpy() - np.where(morning, MORNING, 0.0)
    return ChainQuotes(
        expiration=expiration.dt.strftime("%Y%m%d").astype(int).to_numpy() * 10 + np.where(morning, 0, 1),
        tau=days / YEAR,
        strike=rows["strike"].to_numpy(),
        is_call=(rows["right"] == "C").to_numpy(),
        bid=rows["bid"].to_numpy(),
        ask=rows["ask"].to_numpy(),
        spot=float(rows["underlying_price"].iloc[0]),
        volume=rows["volume"].to_numpy(),
    )


def goog_minutes(data: Path, every: int) -> Iterator[tuple[str, ChainQuotes]]:
    """The GOOG chain of 2015-12-24 every so many minutes, from the tenth minute to the close at 13:00."""
    import pandas as pd

    folder = data / "options_intraday"
    key = ["expiration", "strike", "right"]
    quotes = pd.read_parquet(folder / "GOOG_20151224_quotes_1min.parquet")
    trades = pd.read_parquet(folder / "GOOG_20151224_trades_1min.parquet")
    times = sorted(quotes["ts"].unique())
    for ts in times[9::every]:
        seen = quotes[quotes["ts"] <= ts].groupby(key).last().reset_index().drop(columns="volume")
        traded = trades[trades["ts"] <= ts].groupby(key)["volume"].sum().reset_index()
        rows = seen.merge(traded, how="left", on=key)
        expiration = pd.to_datetime(rows["expiration"])
        close = (expiration + pd.Timedelta(hours=16)).dt.tz_localize("America/New_York")
        close[expiration == "2015-12-24"] = pd.Timestamp("2015-12-24 13:00", tz="America/New_York")
        yield (
            pd.Timestamp(ts).strftime("%H:%M"),
            ChainQuotes(
                expiration=expiration.dt.strftime("%Y%m%d").astype(int).to_numpy(),
                tau=((close - pd.Timestamp(ts)).dt.total_seconds() / (YEAR * 86400.0)).to_numpy(),
                strike=rows["strike"].to_numpy(),
                is_call=(rows["right"] == "C").to_numpy(),
                bid=rows["bid"].to_numpy(),
                ask=rows["ask"].to_numpy(),
                spot=float(quotes.loc[quotes["ts"] <= ts, "underlying_price"].iloc[-1]),
                volume=rows["volume"].fillna(0.0).to_numpy(),
            ),
        )


def generated_chain(expiries: int = 38, strikes: int = 184, seed: int = 1) -> ChainQuotes:
    """A chain of the size of SPX (2 · 38 · 184 = 13,984 rows): an SSVI surface with humps, five-dollar strikes, ticks of five cents."""
    rng = np.random.default_rng(seed)
    spot, rate = 2850.0, 0.025
    tau = np.geomspace(1.0 / YEAR, 2.5, expiries)
    theta = 0.023 * tau
    raw = SsviSurface(rho=-0.7, eta=1.1, gamma=0.45, theta=theta).raw_svi()
    rows = []
    for i in range(expiries):
        forward, discount, deviation = spot * np.exp(0.005 * tau[i]), np.exp(-rate * tau[i]), np.sqrt(theta[i])
        step = max(5.0, 5.0 * round(10.0 * deviation * forward / strikes / 5.0))
        strike = 5.0 * np.round(forward / 5.0) + step * np.arange(-int(0.7 * strikes), strikes - int(0.7 * strikes))
        strike = strike[strike > 0.0]
        k = np.log(strike / forward)
        hump = 1.0 + 0.04 * np.exp(-(((k / deviation + 1.0) / 0.7) ** 2))
        otm = discount * forward * otm_prices(k, np.sqrt(SviSmile(*raw[i]).total_variance(k) * hump))
        for is_call in (True, False):
            price = otm + discount * np.maximum((forward - strike) * (1.0 if is_call else -1.0), 0.0)
            half = np.maximum(0.05, 0.01 * price) * rng.uniform(0.7, 1.3, price.shape)
            bid, ask = np.maximum(np.floor((price - half) * 20.0) / 20.0, 0.0), np.ceil((price + half) * 20.0) / 20.0
            rows.append((np.full(k.size, i), np.full(k.size, tau[i]), strike, np.full(k.size, is_call), bid, ask))
    return ChainQuotes(*(np.concatenate(column) for column in zip(*rows, strict=True)), spot=spot)  # type: ignore[arg-type]
