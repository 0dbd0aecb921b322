"""Account, configurations, positions, activities and portfolio history as Alpaca's JSON (wire.md 2.2, 2.6, 2.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, format_ns
from gammaray.types.instruments import is_occ
from gammaray.types.money import MICROS, format_micros
from gammaray.venues.simulated.model import AccountFigures, ExchangeActivity, ExchangePosition
from gammaray.venues.simulated.wire.order_json import average_price, dollars, ratio_text

DEFAULT_CONFIGURATION: dict[str, Any] = {
    "fractional_trading": False,
    "max_margin_multiplier": "4",
    "no_shorting": False,
    "suspend_trade": False,
    "trade_confirm_email": "all",
    "ptp_no_exception_entry": False,
    "max_options_trading_level": 3,
    "disable_overnight_trading": False,
}


def new_york_day(ns: int) -> str:
    """The date in New York, YYYY-MM-DD."""
    return datetime.fromtimestamp(ns / NANOS, NEW_YORK).date().isoformat()


def account_json(
    figures: AccountFigures,
    *,
    account_id: str,
    number: str,
    configuration: dict[str, Any],
    now_ns: int,
    created_ns: int,
) -> dict[str, Any]:
    """The account: money as strings, option levels as integers."""
    money = {
        "cash": figures.cash,
        "portfolio_value": figures.equity,
        "equity": figures.equity,
        "last_equity": figures.last_equity,
        "buying_power": figures.buying_power,
        "regt_buying_power": figures.regt_buying_power,
        "effective_buying_power": figures.buying_power,
        "non_marginable_buying_power": figures.non_marginable_buying_power,
        "options_buying_power": figures.options_buying_power,
        "accrued_fees": figures.accrued_fees,
        "pending_reg_taf_fees": 0,
        "pending_transfer_in": 0,
        "pending_transfer_out": 0,
        "long_market_value": figures.long_market_value,
        "short_market_value": figures.short_market_value,
        "position_market_value": figures.long_market_value + figures.short_market_value,
        "initial_margin": figures.initial_margin,
        "maintenance_margin": figures.maintenance_margin,
        "last_maintenance_margin": figures.maintenance_margin,
        "sma": figures.last_equity,
        "intraday_adjustments": 0,
    }
    limit = configuration.get("max_options_trading_level")
    level = figures.options_trading_level if limit is None else min(figures.options_trading_level, int(limit))
    return {
        "id": account_id,
        "account_number": number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        **{name: format_micros(value) for name, value in money.items()},
        "multiplier": str(figures.multiplier),
        "shorting_enabled": not configuration["no_shorting"],
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": configuration["suspend_trade"],
        "created_at": format_ns(created_ns),
        "balance_asof": new_york_day(now_ns),
        "options_approved_level": figures.options_trading_level,
        "options_trading_level": level,
        "crypto_tier": 1,
        "user_configurations": None,
        "admin_configurations": {},
    }


@dataclass(frozen=True, slots=True)
class PositionMark:
    """Prices of a position in micro-dollars: the current mark and the previous session's close."""

    current: int
    last_day: int


def position_json(position: ExchangePosition, mark: PositionMark, available: int, asset_id: str) -> dict[str, Any]:
    """A position row; quantity and values are negative for a short."""
    qty, factor = position.signed_qty, position.multiplier
    value = qty * factor * mark.current
    profit = value - position.cost_micros
    intraday = qty * factor * (mark.current - mark.last_day)
    cost = abs(position.cost_micros)
    option = is_occ(position.symbol)
    return {
        "asset_id": asset_id,
        "symbol": position.symbol,
        "exchange": "" if option else "ARCA",
        "asset_class": "us_option" if option else "us_equity",
        "asset_marginable": not option,
        "qty": str(qty),
        "qty_available": str(available),
        "avg_entry_price": average_price(position.cost_micros, qty * factor),
        "side": "long" if qty > 0 else "short",
        "market_value": format_micros(value),
        "cost_basis": format_micros(position.cost_micros),
        "unrealized_pl": format_micros(profit),
        "unrealized_plpc": ratio_text(profit, cost),
        "unrealized_intraday_pl": format_micros(intraday),
        "unrealized_intraday_plpc": ratio_text(intraday, cost),
        "current_price": format_micros(mark.current),
        "lastday_price": format_micros(mark.last_day),
        "change_today": ratio_text(mark.current - mark.last_day, mark.last_day),
    }


def activity_json(activity: ExchangeActivity, order_status: str = "") -> dict[str, Any]:
    """A row of account activities: executions in their own form, everything else as a non-trade activity."""
    if activity.activity_type == "FILL":
        return {
            "id": activity.activity_id,
            "activity_type": "FILL",
            "transaction_time": format_ns(activity.ts_ns),
            "type": activity.fill_type,
            "price": format_micros(activity.price or 0),
            "qty": str(abs(activity.qty)),
            "side": activity.side,
            "symbol": activity.symbol,
            "leaves_qty": str(activity.leaves_qty),
            "order_id": activity.order_id,
            "cum_qty": str(activity.cum_qty),
            "order_status": order_status or ("filled" if activity.leaves_qty == 0 else "partially_filled"),
        }
    row: dict[str, Any] = {
        "id": activity.activity_id,
        "activity_type": activity.activity_type,
        "date": new_york_day(activity.ts_ns),
        "created_at": format_ns(activity.visible_ns or activity.ts_ns),
        "net_amount": format_micros(activity.net_amount),
        "description": activity.description,
        "status": "executed",
        "currency": "USD",
    }
    if activity.symbol:
        row["symbol"] = activity.symbol
        row["qty"] = str(activity.qty)
    if activity.price is not None:
        row["price"] = format_micros(activity.price)
    if activity.group_id:
        row["group_id"] = activity.group_id
    if activity.sub_type:
        row["activity_sub_type"] = activity.sub_type
    return row


def portfolio_history_json(points: Sequence[tuple[int, int]], timeframe: str, base: int) -> dict[str, Any]:
    """Equity over time; `points` are (ns, equity in micro-dollars). Lists hold numbers, never null (wire.md 2.9)."""
    equity = [value for _, value in points]
    profit = [value - base for value in equity]
    history: dict[str, Any] = {
        "timestamp": [ns // NANOS for ns, _ in points],
        "equity": [dollars(value) for value in equity],
        "profit_loss": [dollars(value) for value in profit],
        "profit_loss_pct": [value / base if base else 0.0 for value in profit],
        "base_value": base / MICROS,
        "timeframe": timeframe,
        "cashflow": {},
    }
    if points:
        history["base_value_asof"] = new_york_day(points[0][0])
    return history
