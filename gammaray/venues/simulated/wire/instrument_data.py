"""Latest quotes, trades and bars of a class of instruments, as both the option and the stock endpoints give them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.api import ExchangeApi, Quote
from gammaray.venues.simulated.model import ExchangeReject
from gammaray.venues.simulated.wire.bars import aggregate, base_step, parse_timeframe
from gammaray.venues.simulated.wire.errors import syntax_error
from gammaray.venues.simulated.wire.market_json import bar_json
from gammaray.venues.simulated.wire.paging import page
from gammaray.venues.simulated.wire.requests import Query

MAX_SYMBOLS = 100
DAY_NS = 86_400_000_000_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InstrumentData:
    """Answers queries over `symbols`. Unknown symbols are left out, as Alpaca does; symbols of another class are refused.

    is_member: whether a symbol has the form of this class. feeds: names that the `feed` parameter may have.
    """

    exchange: ExchangeApi
    is_member: Callable[[str], bool]
    feeds: frozenset[str]
    quote_json: Callable[[Quote], Json]
    trade_json: Callable[[int, int], Json]

    def symbols(self, query: Query) -> list[str]:
        """The symbols asked for that trade here or did, at most 100. Raises ExchangeReject (400, 422)."""
        query.choice("feed", self.feeds, "")
        asked = query.words("symbols")
        if not asked:
            raise ExchangeReject(400, 40010000, "symbols is required")
        if len(asked) > MAX_SYMBOLS:
            raise syntax_error(f"invalid symbols: at most {MAX_SYMBOLS}")
        known = []
        for symbol in asked:
            if not self.is_member(symbol):
                raise ExchangeReject(400, 40010000, f"invalid symbol: {symbol[:30]}")
            with suppress(ExchangeReject):
                self.exchange.quote(symbol)
                known.append(symbol)
        return known

    def latest_quotes(self, query: Query) -> dict[str, Json]:
        """The latest quote by symbol."""
        found = {symbol: self.exchange.quote(symbol) for symbol in self.symbols(query)}
        return {symbol: self.quote_json(quote) for symbol, quote in found.items() if quote is not None}

    def latest_trades(self, query: Query) -> dict[str, Json]:
        """The last trade by symbol."""
        found = {symbol: self.exchange.last_trade_cents(symbol) for symbol in self.symbols(query)}
        return {symbol: self.trade_json(*trade) for symbol, trade in found.items() if trade is not None}

    def trades(self, query: Query) -> dict[str, list[Json]]:
        """Trades in a time range by symbol; the exchange keeps the last one only."""
        start, end = query.time("start"), query.time("end", end_of_day=True)
        answer: dict[str, list[Json]] = {}
        for symbol in self.symbols(query):
            trade = self.exchange.last_trade_cents(symbol)
            if trade is not None and (start is None or trade[0] >= start) and (end is None or trade[0] <= end):
                answer[symbol] = [self.trade_json(*trade)]
        return answer

    def bars(self, query: Query) -> tuple[dict[str, list[Json]], str | None]:
        """A page of bars by symbol, then time, and the token of the next page."""
        timeframe = parse_timeframe(query.text("timeframe", "1Day"))
        now_ns = self.exchange.clock_ns()
        start = query.time("start")
        end = query.time("end", end_of_day=True)
        start = now_ns - DAY_NS if start is None else start
        end = now_ns if end is None else min(end, now_ns)
        descending = query.choice("sort", {"asc", "desc"}, "asc") == "desc"
        rows: list[tuple[str, Bar]] = []
        for symbol in sorted(self.symbols(query)):
            base = self.exchange.bars(symbol, start_ns=start, end_ns=end, step=base_step(timeframe))
            bars = aggregate(base, timeframe)
            rows += [(symbol, bar) for bar in (reversed(bars) if descending else bars)]
        chosen, token = page(rows, query.text("page_token"), query.whole("limit", 1000, 1, 10_000))
        answer: dict[str, list[Json]] = {}
        for symbol, bar in chosen:
            answer.setdefault(symbol, []).append(bar_json(bar))
        return answer, token

    def latest_bar(self, symbol: str) -> Bar | None:
        """The last one-minute bar of the last days."""
        now_ns = self.exchange.clock_ns()
        bars = self.exchange.bars(symbol, start_ns=now_ns - 5 * DAY_NS, end_ns=now_ns, step="1Min")
        return bars[-1] if bars else None
