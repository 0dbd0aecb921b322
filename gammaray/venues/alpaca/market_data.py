"""Quotes, contracts and bars over alpaca-py: the MarketDataVenue of simulated, paper and live."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Any

import numpy as np
from alpaca.data.enums import Adjustment, DataFeed, OptionsFeed
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import OptionChainRequest, StockBarsRequest, StockLatestQuoteRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetStatus
from alpaca.trading.requests import GetOptionContractsRequest

from gammaray.types.instruments import OptionContract
from gammaray.venues.alpaca import translate
from gammaray.venues.alpaca.config import AlpacaSettings, Environment
from gammaray.venues.alpaca.quote_stream import QuoteStream, Row
from gammaray.venues.alpaca.transport import harden, read, send
from gammaray.venues.protocol import Bar, QuoteBatch, VenueError, VenueUnavailable

CONTRACT_PAGE = 10_000
SUBSCRIBE_TIMEOUT_S = 15.0


class AlpacaMarketData:
    """A MarketDataVenue. The quote streams start with the first `subscribe`; REST works without them."""

    def __init__(self, settings: AlpacaSettings) -> None:
        self._settings = settings
        key, secret = settings.key_id.get_secret_value(), settings.secret_key.get_secret_value()
        paper = settings.environment is not Environment.LIVE
        self._reference = TradingClient(key, secret, paper=paper, raw_data=True, url_override=settings.trading_url)
        self._options = OptionHistoricalDataClient(key, secret, raw_data=True, url_override=settings.data_url)
        self._stocks = StockHistoricalDataClient(key, secret, raw_data=True, url_override=settings.data_url)
        for client in (self._reference, self._options, self._stocks):
            harden(client, settings)
        self._option_quotes = QuoteStream("options", settings, self._is_closed)
        self._stock_quotes = QuoteStream("stocks", settings, self._is_closed)
        self._index: dict[str, int] = {}
        self._names: list[str] = []

    def close(self) -> None:
        """Stop the streams and close the connections."""
        self._option_quotes.stop()
        self._stock_quotes.stop()
        for client in (self._reference, self._options, self._stocks):
            client._session.close()

    def contracts(self, underlying: str, *, first: date, last: date) -> list[OptionContract]:
        """Contracts listed now with expirations in a range, by symbol."""
        found: list[OptionContract] = []
        token: str | None = None
        while True:
            request = GetOptionContractsRequest(
                underlying_symbols=[underlying],
                status=AssetStatus.ACTIVE,
                expiration_date_gte=first,
                expiration_date_lte=last,
                limit=CONTRACT_PAGE,
                page_token=token,
            )
            body = read(lambda r=request: self._reference.get_option_contracts(r), "contracts", self._settings)  # type: ignore[misc]
            found += [translate.option_contract(row) for row in body["option_contracts"]]
            token = body.get("next_page_token")
            if not token:
                return found

    def chain_quotes(self, underlying: str) -> QuoteBatch:
        """The latest quote of every listed contract and of the underlying, which is last, by REST."""
        chain = OptionChainRequest(underlying_symbol=underlying, feed=OptionsFeed(self._settings.option_feed))
        snapshots = read(lambda: self._options.get_option_chain(chain), "chain", self._settings)
        rows = [_rest_row(symbol, s["latestQuote"]) for symbol, s in snapshots.items() if "latestQuote" in s]
        latest = StockLatestQuoteRequest(symbol_or_symbols=underlying, feed=DataFeed(self._settings.stock_feed))
        quotes = read(lambda: self._stocks.get_stock_latest_quote(latest), "latest quote", self._settings)
        rows += [_rest_row(symbol, quote) for symbol, quote in quotes.items()]
        return self._batch(rows)

    def daily_bars(self, symbol: str, *, first: date, last: date) -> list[Bar]:
        """Daily bars of the underlying, oldest first."""
        request = StockBarsRequest(
            symbol_or_symbols=symbol,
            timeframe=TimeFrame.Day,
            start=datetime.combine(first, time_of_day.min, UTC),
            end=datetime.combine(last, time_of_day.max, UTC),
            feed=DataFeed(self._settings.stock_feed),
            adjustment=Adjustment.SPLIT,
        )
        bars = read(lambda: self._stocks.get_stock_bars(request), "daily bars", self._settings)
        return [
            Bar(translate.time_ns(b["t"]), float(b["o"]), float(b["h"]), float(b["l"]), float(b["c"]), float(b["v"]))
            for b in bars.get(symbol, [])
        ]

    def clock_ns(self) -> int:
        """The venue's time."""
        return translate.time_ns(read(self._reference.get_clock, "clock", self._settings)["timestamp"])

    def _is_closed(self) -> bool:
        """Whether no quotes are due; False when the venue does not say."""
        try:
            return not send(self._reference.get_clock, "clock")["is_open"]
        except VenueError:
            return False

    def subscribe(self, underlyings: Sequence[str], options: Sequence[str]) -> None:
        """Stream quotes of these (the full set wanted; called again it replaces the set).

        Raises VenueUnavailable when the venue does not confirm in time; the streams go on trying.
        """
        for stream, symbols in ((self._stock_quotes, underlyings), (self._option_quotes, options)):
            if not stream.subscribe(symbols, SUBSCRIBE_TIMEOUT_S):
                errors = f" ({stream.errors[-1]})" if stream.errors else ""
                raise VenueUnavailable(
                    f"{stream.kind} stream: {len(symbols)} symbols not confirmed within {SUBSCRIBE_TIMEOUT_S:g} s{errors}"
                )

    def drain_quotes(self) -> QuoteBatch:
        """Quotes that came since the last call, options before underlyings. Does not block."""
        return self._batch(self._option_quotes.drain() + self._stock_quotes.drain())

    def stream_gap(self) -> bool:
        """Whether a quote stream was interrupted since the last call."""
        gaps = [self._option_quotes.take_gap(), self._stock_quotes.take_gap()]
        return any(gaps)

    def wait_for_quotes(self, ts_ns: int, counts: Mapping[str, int], timeout_s: float) -> bool:
        """Wait for everything that a lock-step venue addressed to us at a time stamp.

        counts: option quotes by underlying, as the step's answer says; the underlyings' own quotes, which the venue publishes last,
        are waited for too. False when they are not all there in time.
        """
        deadline = time.monotonic() + timeout_s
        if not self._option_quotes.wait_for_count(ts_ns, sum(counts.values()), deadline):
            return False
        underlyings = self._stock_quotes.wanted & counts.keys()
        return all(self._stock_quotes.wait_for_stamp(symbol, ts_ns, deadline) for symbol in underlyings)

    def _batch(self, rows: list[Row]) -> QuoteBatch:
        if not rows:
            empty = np.empty(0)
            return QuoteBatch(
                tuple(self._names), np.empty(0, np.int32), np.empty(0, np.int64), empty, empty, empty, empty
            )
        symbols, stamps, bids, asks, bid_sizes, ask_sizes = zip(*rows, strict=True)
        index = self._index
        for symbol in set(symbols) - index.keys():
            index[symbol] = len(index)
            self._names.append(symbol)
        bid_size, ask_size = np.array(bid_sizes, np.float64), np.array(ask_sizes, np.float64)
        bid, ask = np.array(bids, np.float64), np.array(asks, np.float64)
        # Alpaca writes a missing side as price 0.
        bid[bid <= 0] = np.nan
        ask[ask <= 0] = np.nan
        return QuoteBatch(
            names=tuple(self._names),
            symbol=np.fromiter(map(index.__getitem__, symbols), np.int32, len(symbols)),
            ts_ns=np.array(stamps, np.int64),
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
        )


def _rest_row(symbol: str, quote: Mapping[str, Any]) -> Row:
    return symbol, translate.time_ns(quote["t"]), quote["bp"], quote["ap"], quote["bs"], quote["as"]
