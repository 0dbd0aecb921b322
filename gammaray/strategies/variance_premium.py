"""Trades the difference between forecast and implied volatility with defined-risk packages.

When the forecast lies well below what options imply, the strategy sells an iron condor (or a vertical where only one side is quoted);
when it lies well above, it buys one. Everything that it needs to manage a position is in the book: it keeps no state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gammaray.desk.view import BookView, StrategyPosition
from gammaray.market.daily import MONTH
from gammaray.market.snapshot import ChainSnapshot, Quality
from gammaray.strategies.condors import Candidate, candidates, expirations_by_fit
from gammaray.strategies.distribution import ExpiryDistribution, probability_of_profit
from gammaray.strategies.legs import Leg, extremes, fair_value, held_legs, order_legs, package_quote, row_of
from gammaray.strategies.protocol import MarketView
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, to_datetime
from gammaray.types.money import CENT, MICROS, price_to_micros
from gammaray.types.orders import OrderLeg
from gammaray.types.signals import Forecast, Purpose, Signal, TradingState

_EPOCH = 719_163
_DAY_NS = 86_400 * NANOS
_YEAR_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class VariancePremiumSettings:
    """Rules of the strategy.

    risk_share: maximum loss of a position as a share of equity. gamma_share: most that its dollar delta may change for a spot move of
    1 %, as a share of equity. max_positions: per underlying. spacing_days: between two openings.
    target_days, min_days, max_days: to expiry at the opening; where no expiry is in the window the nearest to the target is used.
    sell_below, buy_above: forecast over implied volatility to expiry at which it sells or buys. reversion_days: in which the forecast's
    distance from the implied level falls by a factor e. max_iv_rise: no sale when the model expects implied volatility to rise by more
    overnight. sell_inner_delta, …: strikes. min_edge_share: least expected edge as a share of the maximum loss.
    open_concession, close_concession: limit beyond the mid, in half spreads of the package; a stop pays stop_concession.
    fee: dollars a contract. profit_share: of the maximum profit at which it closes. loss_multiple: of the credit, or share of the
    debit, lost at which it closes. exit_days: closes then, unless every leg's delta is below hold_delta: such a position is held
    into expiry. quiet_s: no opening so close to the session's end. max_forecast_age_days: older forecasts are not used, nor are those
    whose volatility is not within a factor max_forecast_ratio of the implied level: such a model is broken, not clever.
    """

    risk_share: float = 0.02
    gamma_share: float = 0.08
    max_positions: int = 2
    max_units: int = 50
    spacing_days: float = 2.0
    target_days: int = 14
    min_days: int = 2
    max_days: int = 60
    sell_below: float = 0.92
    buy_above: float = 1.10
    reversion_days: float = 21.0
    max_iv_rise: float = 0.02
    sell_inner_delta: float = 0.22
    sell_outer_delta: float = 0.08
    buy_inner_delta: float = 0.40
    buy_outer_delta: float = 0.12
    min_edge_share: float = 0.01
    open_concession: float = 0.5
    close_concession: float = 0.75
    stop_concession: float = 1.1
    fee: float = 0.05
    profit_share: float = 0.6
    loss_multiple: float = 2.0
    debit_loss_share: float = 0.6
    exit_days: int = 3
    hold_delta: float = 0.10
    quiet_s: float = 900.0
    max_forecast_age_days: float = 5.0
    max_forecast_ratio: float = 8.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: must not be negative, was {getattr(self, name)}")
        if not 0.0 < self.risk_share <= 1.0:
            raise ValueError(f"risk_share: expected a share in (0, 1], was {self.risk_share}")
        if self.sell_below >= self.buy_above:
            raise ValueError(f"sell_below: must be less than buy_above {self.buy_above}, was {self.sell_below}")
        if not 1 <= self.min_days <= self.max_days:
            raise ValueError(f"min_days: expected 1 to max_days {self.max_days}, was {self.min_days}")


class VariancePremium:
    """The strategy; see the module and `VariancePremiumSettings`."""

    name = "variance_premium"

    def __init__(self, settings: VariancePremiumSettings | None = None) -> None:
        self.settings = settings or VariancePremiumSettings()

    def decide(self, market: MarketView, book: BookView) -> list[Signal]:
        """Closing signals of every underlying, then at most one opening signal each. Nothing while a session is closed."""
        signals: list[Signal] = []
        for _, snapshot in sorted(market.snapshots.items()):
            if not snapshot.session_open or not math.isfinite(snapshot.spot):
                continue
            forecast = self._usable_forecast(market, snapshot)
            signals += self._exits(snapshot, forecast, book)
            if (
                forecast is not None
                and book.trading_state is TradingState.ACTIVE
                and market.session_close_ns - market.ts_ns > self.settings.quiet_s * NANOS
                and self._may_open(snapshot, book)
            ):
                opening = self._opening(snapshot, forecast, book)
                if opening is not None:
                    signals.append(opening)
        return signals

    def volatility_ratio(self, snapshot: ChainSnapshot, forecast: Forecast, tau: float) -> float:
        """Volatility expected over `tau` years by the forecast, over the at-the-money implied volatility of that time.

        The forecast is for the next sessions; its distance from the implied variance is taken to decay exponentially, so that over τ
        the mean share (1 − e^(−κτ)) / (κτ) of it remains. NaN without a surface.
        """
        implied = snapshot.atm_volatility(tau)
        decay = tau * 252.0 / max(self.settings.reversion_days, 1e-9)
        remaining = -math.expm1(-decay) / decay if decay > 0.0 else 1.0
        variance = implied**2 + (forecast.realized_volatility**2 - implied**2) * remaining
        return math.sqrt(variance) / implied

    def _usable_forecast(self, market: MarketView, snapshot: ChainSnapshot) -> Forecast | None:
        forecast = market.forecasts.get(snapshot.underlying)
        if forecast is None or not math.isfinite(forecast.iv_change):
            return None
        ratio = forecast.realized_volatility / snapshot.atm_volatility(MONTH)
        most = self.settings.max_forecast_ratio
        is_sane = 1.0 / most <= ratio <= most  # False for NaN too
        age = market.ts_ns - forecast.ts_ns
        return forecast if is_sane and 0 <= age <= self.settings.max_forecast_age_days * _DAY_NS else None

    def _may_open(self, snapshot: ChainSnapshot, book: BookView) -> bool:
        """Whether there is room for one more position. One without a short leg is a remainder that nobody would buy, and takes none."""
        rules, underlying, listed = self.settings, snapshot.underlying, snapshot.table.index
        positions = [
            position
            for position in book.of_strategy(self.name)
            if position.underlying == underlying
            and any(qty < 0 and symbol in listed for symbol, qty in position.signed_qty.items())
        ]
        if len(positions) >= rules.max_positions:
            return False
        if any(snapshot.ts_ns - position.opened_ns < rules.spacing_days * _DAY_NS for position in positions):
            return False
        prefix = f"{self.name}-{underlying}-"
        return not any(
            order.purpose is Purpose.OPEN and order.position_id.startswith(prefix) for order in book.working(self.name)
        )

    def _opening(self, snapshot: ChainSnapshot, forecast: Forecast, book: BookView) -> Signal | None:
        rules, today = self.settings, _today(snapshot.ts_ns)
        held = {symbol: position.signed_qty for symbol, position in book.positions.items()}
        taken = _expirations_of(book.of_strategy(self.name), snapshot)
        for expiration in expirations_by_fit(
            snapshot, today, target_days=rules.target_days, min_days=rules.min_days, max_days=rules.max_days
        ):
            if expiration in taken:
                continue
            ratio = self.volatility_ratio(snapshot, forecast, (expiration - today) / _YEAR_DAYS)
            if ratio <= rules.sell_below and forecast.iv_change <= rules.max_iv_rise:
                sell = True
            elif ratio >= rules.buy_above:
                sell = False
            else:
                continue
            inner, outer = (
                (rules.sell_inner_delta, rules.sell_outer_delta)
                if sell
                else (rules.buy_inner_delta, rules.buy_outer_delta)
            )
            found = [
                signal
                for candidate in candidates(
                    snapshot, expiration, inner_delta=inner, outer_delta=outer, sell=sell, held=held
                )
                if (signal := self._priced(snapshot, forecast, book, candidate, ratio, sell)) is not None
            ]
            if found:
                return max(found, key=lambda pair: pair[0])[1]
        return None

    def _priced(
        self,
        snapshot: ChainSnapshot,
        forecast: Forecast,
        book: BookView,
        candidate: Candidate,
        ratio: float,
        sell: bool,
    ) -> tuple[float, Signal] | None:
        """Expected edge over maximum loss, and the signal; None where the edge or the size is too small."""
        rules = self.settings
        quote = package_quote(snapshot, candidate.legs)
        fair = fair_value(snapshot, candidate.legs, ratio)
        if quote is None or not math.isfinite(fair):
            return None
        limit = price_to_micros(quote.mid + rules.open_concession * quote.half_spread)
        contracts = sum(abs(leg.ratio) for leg in candidate.legs)
        multiplier = candidate.legs[0].contract.multiplier if candidate.legs[0].contract else 100
        cost = limit / MICROS * multiplier + rules.fee * contracts
        risk = cost - extremes(candidate.legs).worst
        # Getting out costs again; what is held into expiry saves that.
        edge = (
            fair * multiplier - cost - rules.close_concession * quote.half_spread * multiplier - rules.fee * contracts
        )
        # A sale must bring a credit, a purchase cost a debit, and neither may be better than the structure can pay.
        if (limit >= 0) == sell or risk <= 0.0 or edge < rules.min_edge_share * risk:
            return None
        equity = book.equity / MICROS
        rows = [row_of(snapshot, leg.contract) for leg in candidate.legs if leg.contract is not None]
        gamma = (
            abs(float(np.array([leg.shares for leg in candidate.legs]) @ snapshot.gamma[rows]))
            * 0.01
            * snapshot.spot**2
        )
        room = rules.gamma_share * equity / gamma if gamma > 0.0 else math.inf
        qty = math.floor(min(rules.max_units, rules.risk_share * equity / risk, room))
        if qty < 1:
            return None
        day = candidate.expiration
        distribution = ExpiryDistribution(snapshot, day, ratio)
        left = day - _today(snapshot.ts_ns)
        implied = snapshot.atm_volatility(left / _YEAR_DAYS)
        expiry = f"{_date_text(day)}"
        return edge / risk, Signal(
            strategy=self.name,
            underlying=snapshot.underlying,
            ts_ns=snapshot.ts_ns,
            purpose=Purpose.OPEN,
            legs=order_legs(candidate.legs, opening=True),
            qty=qty,
            limit_price=limit,
            position_id=f"{self.name}-{snapshot.underlying}-{snapshot.ts_ns // NANOS}-{expiry}",
            probability=probability_of_profit(distribution, candidate.legs, cost),
            expected_edge=round(edge * MICROS),
            horizon_days=left,
            model=forecast.model,
            model_version=forecast.version,
            explanation=(
                f"{'sells' if sell else 'buys'} {candidate.structure} {expiry} {candidate.strikes}: expected volatility "
                f"{ratio * implied:.1%} to expiry (forecast {forecast.realized_volatility:.1%}) against {implied:.1%} implied; "
                f"limit {limit / MICROS:+.2f}, mid {quote.mid:+.2f}, fair {fair:+.2f}, maximum loss {risk:.0f} a unit"
            ),
        )

    def _exits(self, snapshot: ChainSnapshot, forecast: Forecast | None, book: BookView) -> list[Signal]:
        busy = {order.position_id for order in book.working(self.name)}
        signals = []
        for position in book.of_strategy(self.name):
            if position.underlying != snapshot.underlying or position.position_id in busy:
                continue
            legs, units = held_legs(position.signed_qty, snapshot)
            reason = self._exit_reason(snapshot, forecast, position, legs, units) if legs else None
            if reason is not None:
                closing = self._closing(snapshot, forecast, position, legs, units, *reason)
                if closing is not None:
                    signals.append(closing)
        return signals

    def _exit_reason(
        self,
        snapshot: ChainSnapshot,
        forecast: Forecast | None,
        position: StrategyPosition,
        legs: tuple[Leg, ...],
        units: int,
    ) -> tuple[str, float] | None:
        """Why to close, and how many half spreads to concede; None to keep."""
        rules = self.settings
        rows = [row_of(snapshot, leg.contract) for leg in legs if leg.contract is not None]
        values = _values(snapshot, rows)
        if not np.isfinite(values).all():
            return None
        cost = position.net_open / MICROS
        pnl = units * float(np.array([leg.shares for leg in legs]) @ values) - cost
        if all(leg.ratio > 0 for leg in legs):
            worth = pnl + cost
            is_worth_it = worth > 2.0 * rules.fee * units * len(legs)
            return (f"sells what is left of it, worth {worth:,.0f}", rules.close_concession) if is_worth_it else None
        bounds = extremes(legs)
        best = units * bounds.best - cost
        if math.isfinite(best) and best > 0.0 and pnl >= rules.profit_share * best:
            return f"takes {pnl:,.0f} of at most {best:,.0f} profit", rules.close_concession
        limit = rules.loss_multiple * -cost if cost < 0.0 else rules.debit_loss_share * cost
        if limit > 0.0 and pnl <= -limit:
            return f"stops at a loss of {-pnl:,.0f} (limit {limit:,.0f})", rules.stop_concession
        today, last = _today(snapshot.ts_ns), int(snapshot.table.expiration[rows].min())
        left = last - today
        # A position opened shortly before expiry gets a third of its life before the clock alone closes it.
        exit_days = min(rules.exit_days, (last - _today(position.opened_ns)) // 3)
        if left <= exit_days:
            # Bought legs count too: exercised, they would bring shares that the account may not be able to hold.
            delta = float(np.abs(snapshot.delta[rows]).max())
            if delta < rules.hold_delta:
                return None
            return f"{left} days to expiry with a delta of {delta:.2f}", rules.close_concession
        if forecast is not None:
            ratio = self.volatility_ratio(snapshot, forecast, max(left, 1) / _YEAR_DAYS)
            # A credit was taken for volatility sold. Vega would mislead: it changes sign when the spot leaves the inner strikes.
            if cost < 0.0 and ratio >= rules.buy_above:
                return f"forecast turned: ratio {ratio:.2f} against volatility sold", rules.close_concession
            if cost > 0.0 and ratio <= rules.sell_below:
                return f"forecast turned: ratio {ratio:.2f} against volatility bought", rules.close_concession
        return None

    def _closing(
        self,
        snapshot: ChainSnapshot,
        forecast: Forecast | None,
        position: StrategyPosition,
        legs: tuple[Leg, ...],
        units: int,
        reason: str,
        concession: float,
    ) -> Signal | None:
        """Closes what can be closed: long legs without a bid are worth nothing and stay; None when a short leg has no usable ask."""
        reversed_legs = []
        mid = half = 0.0
        for leg in legs:
            assert leg.contract is not None  # held legs are options
            row = row_of(snapshot, leg.contract)
            quality, bid, ask = Quality(int(snapshot.quality[row])), float(snapshot.bid[row]), float(snapshot.ask[row])
            if quality & ~Quality.MISSING_BID:
                return None
            if quality & Quality.MISSING_BID:
                if leg.ratio > 0:
                    continue
                bid = 0.0
            reversed_legs.append(Leg(leg.contract, -leg.ratio))
            mid -= leg.ratio * 0.5 * (bid + ask)
            half += abs(leg.ratio) * 0.5 * (ask - bid)
        if not reversed_legs:
            return None
        divisor = math.gcd(*(leg.ratio for leg in reversed_legs))
        reversed_legs = [Leg(leg.contract, leg.ratio // divisor) for leg in reversed_legs]
        net = (mid + concession * half) / divisor
        order = order_legs(reversed_legs, opening=False)
        return Signal(
            strategy=self.name,
            underlying=snapshot.underlying,
            ts_ns=snapshot.ts_ns,
            purpose=Purpose.CLOSE,
            legs=order,
            qty=units * divisor,
            limit_price=_limit(net, order),
            position_id=position.position_id,
            probability=0.0,
            expected_edge=0,
            horizon_days=0,
            model=forecast.model if forecast else "",
            model_version=forecast.version if forecast else "",
            explanation=f"closes {position.position_id}: {reason}",
        )


def _limit(net: float, legs: tuple[OrderLeg, ...]) -> int:
    """Micro-dollars: signed net of a package (a cent rather than nothing), positive price of a single leg."""
    if len(legs) == 1:
        return max(CENT, price_to_micros(abs(net)))
    return price_to_micros(net) or CENT


def _values(snapshot: ChainSnapshot, rows: list[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Price of each row: its mid where usable (a missing bid counts as zero), else the surface's."""
    bid = np.nan_to_num(snapshot.bid[rows])
    ask = snapshot.ask[rows]
    usable = (snapshot.quality[rows] & ~np.uint8(Quality.MISSING_BID)) == 0
    model = snapshot.model_price[rows] if snapshot.model_price is not None else np.full(len(rows), np.nan)
    return np.where(usable, 0.5 * (bid + ask), model)


def _today(ts_ns: int) -> int:
    """The New York date as days since 1970-01-01."""
    return to_datetime(ts_ns).astimezone(NEW_YORK).date().toordinal() - _EPOCH


def _date_text(day: int) -> str:
    return str(np.datetime64(day, "D")).replace("-", "")


def _expirations_of(positions: tuple[StrategyPosition, ...], snapshot: ChainSnapshot) -> set[int]:
    index = snapshot.table.index
    return {
        int(snapshot.table.expiration[index[symbol]])
        for position in positions
        for symbol, qty in position.signed_qty.items()
        if qty != 0 and symbol in index
    }
