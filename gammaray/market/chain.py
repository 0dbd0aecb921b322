"""The live state of one underlying's chain: contracts are listed, quote batches go in, snapshots come out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time

import numpy as np
from numpy.typing import NDArray

from gammaray.market.arbitrage import ChainPairs, arbitrage_flags
from gammaray.market.columns import FeedCounts, QuoteColumns, Quotes, RowLookup
from gammaray.market.quality import QualityCounts, QualitySettings, bound_flags, jump_flags, side_flags, stale_flags
from gammaray.market.slices import surface_slices
from gammaray.market.snapshot import ChainSnapshot, ContractTable, Quality, SurfaceSlice
from gammaray.pricing.european import greeks, price
from gammaray.pricing.implied import implied_volatility
from gammaray.pricing.surface.quotes import ChainQuotes
from gammaray.pricing.surface.surface import VolatilitySurface
from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import NANOS, from_datetime
from gammaray.types.instruments import OptionContract

FloatArray = NDArray[np.float64]

YEAR_NS = 365 * 86_400 * NANOS
"""Times to expiry are calendar time over 365 days."""

_CLOSE = time(16, 0)


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How a chain is evaluated.

    rate, dividend_yield: continuous, used where put-call parity does not say. surface_method: see `VolatilitySurface.from_quotes`.
    gap_after_s: silence within one day that counts as an interruption of the feed.
    """

    rate: float = 0.02
    dividend_yield: float = 0.0
    surface_method: str = "arbitrage_free"
    gap_after_s: float = 1800.0
    quality: QualitySettings = field(default_factory=QualitySettings)

    def __post_init__(self) -> None:
        for name in ("rate", "dividend_yield"):
            if not abs(getattr(self, name)) < 1.0:
                raise ValueError(f"{name}: expected a continuous rate inside (-1, 1), was {getattr(self, name)}")
        if not self.gap_after_s > 0.0:
            raise ValueError(f"gap_after_s: must be positive, was {self.gap_after_s}")


def expiry_ns(day: date, calendar: TradingCalendar | None = None) -> int:
    """When trading in contracts that expire on a date ends: the close of the session, 16:00 New York without a calendar for it."""
    if calendar is not None and calendar.first <= day <= calendar.last and calendar.is_session(day):
        return calendar.session(day).close_ns
    return from_datetime(datetime.combine(day, _CLOSE, NEW_YORK))


class ChainState:
    """Columnar state of one underlying and its listed options. Not thread-safe: one owner.

    Rows are kept in the order of a `ContractTable`; when contracts are listed or expire the table is replaced and every
    surviving row keeps its state.
    """

    def __init__(
        self, underlying: str, settings: ChainSettings | None = None, *, calendar: TradingCalendar | None = None
    ) -> None:
        self.underlying = underlying
        self.settings = settings or ChainSettings()
        self.feed = FeedCounts()
        self.quality_counts = QualityCounts()
        self.surface: VolatilitySurface | None = None
        """The newest surface, from which the next fit starts."""
        self.surface_failures = 0
        """Snapshots in which there were quotes but no surface could be fitted."""
        self._calendar = calendar
        self._expiry_ns: dict[date, int] = {}
        self._table = ContractTable((), np.empty(0, np.int64))
        self._pairs = ChainPairs(self._table)
        self._quotes = QuoteColumns(1)
        self._lookup = RowLookup({underlying: 0})
        self._previous: ChainSnapshot | None = None
        self._version = 0

    @property
    def table(self) -> ContractTable:
        """The contracts listed now."""
        return self._table

    def list_contracts(self, contracts: Iterable[OptionContract]) -> int:
        """Add contracts; those that are listed already stay as they are. Returns how many are new.

        Raises ValueError for a contract of another underlying.
        """
        known = self._table.index
        new: dict[str, OptionContract] = {}
        for contract in contracts:
            if contract.underlying != self.underlying:
                raise ValueError(f"contracts: {contract.symbol} is not on {self.underlying}")
            if contract.symbol not in known:
                new[contract.symbol] = contract
        if new:
            self._retable(sorted([*self._table.contracts, *new.values()], key=_listing_order))
        return len(new)

    def apply(self, batch: Quotes) -> int:
        """Take in quotes in order of arrival; the newest of each instrument stays. Returns how many changed the state.

        Duplicates, quotes older than the known one and quotes of unlisted instruments are dropped and counted (`feed`).
        Raises ValueError for a malformed batch.
        """
        rows = self._lookup.rows(batch)
        newest = int(self._quotes.ts_ns.max())
        accepted, duplicates, out_of_order, unknown = self._quotes.apply(rows, batch)
        self.feed.quotes += rows.size
        self.feed.accepted += accepted
        self.feed.duplicates += duplicates
        self.feed.out_of_order += out_of_order
        self.feed.unknown += unknown
        if accepted and newest:
            silence = int(self._quotes.ts_ns.max()) - newest
            # Nights are no gaps; a US session lies within one UTC day.
            if silence > self.settings.gap_after_s * NANOS and _utc_day(newest) == _utc_day(newest + silence):
                self.feed.gaps += 1
        return accepted

    def note_gap(self) -> None:
        """The venue says that the stream was interrupted: every quote is stale until the feed or a backfill confirms it."""
        self.feed.gaps += 1
        self._quotes.confirmed[:] = False

    def snapshot(self, now_ns: int, session_open: bool) -> ChainSnapshot:
        """Evaluate the whole chain: quality, forwards, implied volatilities, greeks and surface, in one columnar pass.

        Contracts whose trading has ended leave first. Greeks are taken at the implied volatility of the strike's out-of-the-money
        contract where its quote is good, else at the surface's, else at the contract's own; NaN where there is none. Implied
        volatilities are Black's on the parity forward also for American contracts: what early exercise is worth shows up in the
        volatility of deep in-the-money puts.
        """
        self._drop_expired(now_ns)
        table, quotes, settings = self._table, self._quotes, self.settings
        n = len(table)
        bid, ask, quote_ts = quotes.bid[:n].copy(), quotes.ask[:n].copy(), quotes.ts_ns[:n].copy()
        spot_bid, spot_ask, spot_ts = float(quotes.bid[n]), float(quotes.ask[n]), int(quotes.ts_ns[n])
        spot = 0.5 * (spot_bid + spot_ask)
        tau = (table.expiry_ns - now_ns) / YEAR_NS
        has_spot = np.isfinite(spot) and spot > 0.0

        quality = side_flags(bid, ask)
        if has_spot:
            quotes.see(spot)
            quality |= stale_flags((now_ns - quote_ts) / NANOS, self._moved(spot), ask - bid, settings.quality)
        is_mute = now_ns - spot_ts > settings.quality.spot_stale_after_s * NANOS or not quotes.confirmed[n]
        quality[~quotes.confirmed[:n] | (is_mute or not has_spot)] |= np.uint8(Quality.STALE)
        mid = 0.5 * (bid + ask)
        if has_spot:
            quality |= self._jumps(now_ns, mid, ask - bid, quality == 0, spot, tau)
            surface = self._fit(bid, ask, quality == 0, spot, tau)
            discount, forward = self._carry(surface, spot, tau)
            tolerance = settings.quality.bounds_tolerance
            quality |= bound_flags(bid, ask, table.is_call, table.strike, spot, discount, forward, tolerance)
            usable = quality == 0
            tolerance += settings.quality.parity_tolerance * spot
            quality |= arbitrage_flags(bid, ask, usable, table, self._pairs, spot, discount, forward, tolerance)
        else:
            surface, discount, forward = None, np.ones(n), np.full(n, np.nan)

        volatility, model_price, first_order = self._evaluate(mid, quality == 0, spot, tau, discount, forward, surface)
        slices: tuple[SurfaceSlice, ...] = surface_slices(surface) if surface is not None else ()
        self.quality_counts.add(quality)
        self._version += 1
        result = ChainSnapshot(
            version=self._version,
            ts_ns=now_ns,
            underlying=self.underlying,
            session_open=session_open,
            spot=spot,
            spot_bid=spot_bid,
            spot_ask=spot_ask,
            spot_ts_ns=spot_ts,
            table=table,
            tau=tau,
            bid=bid,
            ask=ask,
            bid_size=quotes.bid_size[:n].copy(),
            ask_size=quotes.ask_size[:n].copy(),
            quote_ts_ns=quote_ts,
            quality=quality,
            implied_volatility=volatility,
            delta=first_order[0],
            gamma=first_order[1],
            vega=first_order[2],
            theta=first_order[3],
            surface=slices,
            rate=settings.rate,
            dividend_yield=settings.dividend_yield,
            quotes_seen=self.feed.quotes,
            model_price=model_price,
        )
        self._previous = result
        return result

    def _moved(self, spot: float) -> FloatArray:
        """Dollars that each option must have moved since its quote came, by the last known delta."""
        n = len(self._table)
        if self._previous is None:
            return np.zeros(n)
        delta = _aligned(self._previous, self._table, self._previous.delta)
        return np.nan_to_num(np.abs(delta * (spot - self._quotes.seen_spot[:n])))

    def _fit(
        self, bid: FloatArray, ask: FloatArray, usable: NDArray[np.bool_], spot: float, tau: FloatArray
    ) -> VolatilitySurface | None:
        rows = np.flatnonzero(usable)
        if rows.size == 0:
            return None
        table = self._table
        chain = ChainQuotes(
            expiration=table.expiration[rows].astype(np.int64),
            tau=tau[rows],
            strike=table.strike[rows],
            is_call=table.is_call[rows],
            bid=bid[rows],
            ask=ask[rows],
            spot=spot,
            rate=self.settings.rate,
        )
        try:
            self.surface = VolatilitySurface.from_quotes(chain, self.settings.surface_method, start=self.surface)
        except ValueError:
            # Too few usable strikes in every expiry; the counter tells, and the snapshot carries no slices.
            self.surface_failures += 1
            return None
        return self.surface

    def _carry(self, surface: VolatilitySurface | None, spot: float, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Discount factor and forward of each row: by parity where a surface was fitted, else from the settings."""
        settings = self.settings
        if surface is None:
            return np.exp(-settings.rate * tau), spot * np.exp((settings.rate - settings.dividend_yield) * tau)
        times, inverse = np.unique(tau, return_inverse=True)
        discount: FloatArray = surface.discount_at(times)
        forward: FloatArray = surface.forward_at(times)
        return discount[inverse], forward[inverse]

    def _jumps(
        self, now_ns: int, mid: FloatArray, spread: FloatArray, usable: NDArray[np.bool_], spot: float, tau: FloatArray
    ) -> NDArray[np.uint8]:
        previous, recent = self._previous, self.settings.quality.jump_within_s * NANOS
        if previous is None or not previous.surface or now_ns - previous.ts_ns > recent or len(self._table) == 0:
            return np.zeros(mid.shape, np.uint8)
        volatility = _aligned(previous, self._table, previous.implied_volatility)
        known = np.flatnonzero(usable & np.isfinite(volatility))
        expected, vega = np.full(mid.shape, np.nan), np.full(mid.shape, np.nan)
        if known.size:
            discount, forward = self._carry(self.surface, spot, tau[known])
            rate, dividend_yield = _rates(discount, forward, spot, tau[known])
            result = greeks(
                self._table.is_call[known],
                spot,
                self._table.strike[known],
                tau[known],
                rate,
                volatility[known],
                dividend_yield,
            )
            expected[known], vega[known] = result.price, result.vega
        return jump_flags(mid, spread, expected, vega, self._table.expiration, usable, self.settings.quality)

    def _evaluate(
        self,
        mid: FloatArray,
        good: NDArray[np.bool_],
        spot: float,
        tau: FloatArray,
        discount: FloatArray,
        forward: FloatArray,
        surface: VolatilitySurface | None,
    ) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
        """Implied volatility of good mids, the surface's price, and delta, gamma, vega, theta; all of shape (n,)."""
        table = self._table
        n = len(table)
        volatility, model_price = np.full(n, np.nan), np.full(n, np.nan)
        delta, gamma, vega, theta = (np.full(n, np.nan) for _ in range(4))
        outputs = (delta, gamma, vega, theta)
        if n == 0 or not np.isfinite(forward).all():
            return volatility, model_price, outputs
        rate, dividend_yield = _rates(discount, forward, spot, tau)
        volatility = implied_volatility(
            np.where(good, mid, np.nan), table.is_call, spot, table.strike, tau, rate, dividend_yield
        )
        fitted = np.full(n, np.nan)
        if surface is not None:
            fitted = surface.implied_volatility(table.strike, tau)
            model_price = price(table.is_call, spot, table.strike, tau, rate, fitted, dividend_yield)
        # The price of an in-the-money contract says little about volatility: its out-of-the-money partner says more.
        is_in = (table.strike < forward) == table.is_call
        partner = np.where(self._pairs.partner >= 0, volatility[self._pairs.partner], np.nan)
        best = np.where(is_in, partner, volatility)
        for fallback in (fitted, volatility):
            best = np.where(np.isfinite(best), best, fallback)
        rows = np.flatnonzero(np.isfinite(best))
        if rows.size:
            result = greeks(
                table.is_call[rows],
                spot,
                table.strike[rows],
                tau[rows],
                rate[rows],
                best[rows],
                dividend_yield[rows],
            )
            for output, values in zip(outputs, (result.delta, result.gamma, result.vega, result.theta), strict=True):
                output[rows] = values
        return volatility, model_price, outputs

    def _drop_expired(self, now_ns: int) -> None:
        if len(self._table) and bool((self._table.expiry_ns <= now_ns).any()):
            alive = self._table.expiry_ns > now_ns
            self._retable([c for c, keep in zip(self._table.contracts, alive, strict=True) if keep])

    def _retable(self, contracts: list[OptionContract]) -> None:
        for contract in contracts:
            if contract.expiration not in self._expiry_ns:
                self._expiry_ns[contract.expiration] = expiry_ns(contract.expiration, self._calendar)
        ends = np.array([self._expiry_ns[contract.expiration] for contract in contracts], dtype=np.int64)
        old, table = self._table, ContractTable(tuple(contracts), ends)
        rows = np.array([*(old.index.get(symbol, -1) for symbol in table.symbols), len(old)], dtype=np.int64)
        self._quotes = self._quotes.moved(rows)
        self._table = table
        self._pairs = ChainPairs(table)
        self._lookup = RowLookup({**table.index, self.underlying: len(table)})


def _listing_order(contract: OptionContract) -> tuple[date, int, str, str]:
    return contract.expiration, contract.strike_milli, contract.right.value, contract.root


def _utc_day(ns: int) -> int:
    return ns // (86_400 * NANOS)


def _rates(discount: FloatArray, forward: FloatArray, spot: float, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Continuous rate and dividend yield that give this discount factor and forward."""
    rate = -np.log(discount) / tau
    return rate, rate - np.log(forward / spot) / tau


def _aligned(previous: ChainSnapshot, table: ContractTable, column: FloatArray) -> FloatArray:
    """A column of an earlier snapshot in the order of `table`; NaN for contracts that it did not have."""
    if previous.table is table:
        return column
    result = np.full(len(table), np.nan)
    rows = np.array([previous.table.index.get(symbol, -1) for symbol in table.symbols], dtype=np.int64)
    result[rows >= 0] = column[rows[rows >= 0]]
    return result
