"""Strategies at work on a desk: what they want is asked, sent through the gate, and left-over orders are taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gammaray.desk.session import Decision, DeskSession
from gammaray.market.snapshot import ChainSnapshot
from gammaray.strategies.protocol import MarketView, Strategy
from gammaray.types.signals import Forecast, Signal


@dataclass(frozen=True, slots=True)
class TraderSettings:
    """signals_a_step: at most so many orders at one decision. stale_after_ns: a limit order that has rested so long is canceled, since its
    price was made for another market."""

    signals_a_step: int = 8
    stale_after_ns: int = 5_400 * 1_000_000_000


class Trader:
    """Drives strategies over a desk session; the live desk and the back-test use the same object."""

    def __init__(
        self,
        session: DeskSession,
        strategies: Sequence[Strategy],
        settings: TraderSettings | None = None,
        settle: Callable[[], None] | None = None,
    ) -> None:
        """settle: takes over what an order caused at the venue; `session.pump` by default."""
        self.session = session
        self.strategies = tuple(strategies)
        self.settings = settings or TraderSettings()
        self._settle = settle or (lambda: session.pump() and None)

    def wanted(self, market: MarketView) -> list[Signal]:
        """What the strategies want now, in the order in which they are asked; nothing is sent."""
        return [signal for strategy in self.strategies for signal in strategy.decide(market, self.session.book())]

    def trade(self, market: MarketView) -> list[tuple[Signal, Decision]]:
        """Take back stale orders, ask the strategies one after another, send what they want. Each sees what the one before it caused."""
        self._cancel_stale(market.ts_ns)
        decisions: list[tuple[Signal, Decision]] = []
        for strategy in self.strategies:
            for signal in strategy.decide(market, self.session.book()):
                if len(decisions) == self.settings.signals_a_step:
                    return decisions
                decisions.append((signal, self.session.submit(signal)))
                self._settle()
        return decisions

    def _cancel_stale(self, now_ns: int) -> None:
        stale = [
            order.client_order_id
            for order in self.session.book().working_orders
            if now_ns - order.submitted_ns >= self.settings.stale_after_ns
        ]
        for client_order_id in stale:
            self.session.cancel(client_order_id)
        if stale:
            self._settle()


def market_view(
    ts_ns: int,
    session_close_ns: int,
    snapshots: Mapping[str, ChainSnapshot],
    forecasts: Mapping[str, Forecast],
    baseline: Mapping[str, float],
) -> MarketView:
    """The market as strategies see it; underlyings without a model's forecast get the volatility baseline where that is known."""
    filled = dict(forecasts)
    for underlying, volatility in baseline.items():
        if underlying not in filled and volatility > 0:
            filled[underlying] = Forecast(
                underlying, ts_ns, 1, volatility, 0.0, "baseline", "1", f"baseline-{underlying}-{ts_ns}"
            )
    return MarketView(ts_ns, session_close_ns, snapshots, filled)
