"""The desk's values as JSON for the HTTP API, and orders from it as signals. Money is decimal text in dollars."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gammaray.desk.codec import decode
from gammaray.desk.desk import Desk
from gammaray.desk.events import ActivityReceived
from gammaray.desk.session import Decision
from gammaray.desk.view import BookView
from gammaray.operations.errors import BadInput
from gammaray.storage.journal import Journal
from gammaray.types.account import ActivityKind
from gammaray.types.instruments import is_occ, parse_occ
from gammaray.types.money import format_micros, to_micros
from gammaray.types.orders import OrderLeg, PositionIntent, Side
from gammaray.types.signals import Purpose, Signal


def signal_from_order(order: dict[str, Any], now_ns: int) -> Signal:
    """The signal that carries an order sent over HTTP (the body of `POST /v1/orders`). Raises BadInput naming the field."""
    try:
        legs = tuple(
            OrderLeg(
                leg["symbol"],
                Side(leg["side"]),
                leg["ratio_qty"],
                PositionIntent(leg["position_intent"]) if leg["position_intent"] else None,
            )
            for leg in order["legs"]
        )
        limit = None if order["limit_price"] is None else to_micros(order["limit_price"], "limit_price")
        first = legs[0].symbol
        signal = Signal(
            strategy=order["strategy"],
            underlying=parse_occ(first).underlying if is_occ(first) else first,
            ts_ns=now_ns,
            purpose=Purpose(order["purpose"]),
            legs=legs,
            qty=order["qty"],
            limit_price=limit,
            position_id=f"{order['strategy']}-{now_ns}",
            probability=0.5,
            expected_edge=0,
            horizon_days=0,
            model="",
            model_version="",
            explanation="asked over HTTP",
        )
        signal.to_order("check")
    except ValueError as error:
        field, _, problem = str(error).partition(": ")
        raise BadInput(field, problem or str(error)) from None
    return signal


def decision_answer(decision: Decision) -> dict[str, Any]:
    """A decision of the gate."""
    return {
        "accepted": decision.accepted,
        "client_order_id": decision.client_order_id or None,
        "state": decision.state.name,
        "rule": decision.rule or None,
        "limit": decision.limit if decision.rule else None,
        "value": decision.value if decision.rule else None,
        "subject": decision.subject or None,
        "reason": decision.reason or None,
    }


def order_answers(desk: Desk, limit: int) -> list[dict[str, Any]]:
    """Orders, newest first."""
    answers = []
    for record in reversed(desk.records[-limit:]):
        row = desk.store.book.orders[record.row]
        signal = record.signal
        answers.append(
            {
                "client_order_id": record.client_order_id,
                "state": desk.order_state(record).name,
                "strategy": signal.strategy,
                "purpose": signal.purpose.value,
                "legs": [
                    {"symbol": leg.symbol, "side": leg.side.value, "ratio_qty": leg.ratio_qty} for leg in record.legs
                ],
                "qty": int(row["qty"]),
                "filled_qty": int(row["filled_qty"]),
                "limit_price": None if record.limit_price is None else format_micros(record.limit_price),
                "reason": record.reason or None,
                "explanation": signal.explanation,
                "intended_ns": int(row["intended_ns"]),
            }
        )
    return answers


def portfolio_answer(book: BookView, totals: dict[str, Any]) -> dict[str, Any]:
    """Positions, cash and P&L."""
    return {
        "ts_ns": book.ts_ns,
        "trading_state": book.trading_state.value,
        "cash": format_micros(book.cash),
        "equity": format_micros(book.equity),
        "realized_pnl": format_micros(totals["realized_pnl"]),
        "unrealized_pnl": format_micros(totals["unrealized_pnl"]),
        "fees": format_micros(totals["fees"]),
        "positions": [
            {
                "symbol": position.symbol,
                "signed_qty": position.signed_qty,
                "avg_px_open": format_micros(position.avg_px_open),
                "realized_pnl": format_micros(position.realized_pnl),
            }
            for position in book.positions.values()
        ],
        "strategy_positions": [
            {
                "position_id": position.position_id,
                "strategy": position.strategy,
                "underlying": position.underlying,
                "legs": dict(position.signed_qty),
                "net_open": format_micros(position.net_open),
            }
            for position in book.strategy_positions
        ],
        "working_orders": len(book.working_orders),
    }


def signal_answer(signal: Signal) -> dict[str, Any]:
    """A signal."""
    return {
        "strategy": signal.strategy,
        "underlying": signal.underlying,
        "purpose": signal.purpose.value,
        "legs": [{"symbol": leg.symbol, "side": leg.side.value, "ratio_qty": leg.ratio_qty} for leg in signal.legs],
        "qty": signal.qty,
        "limit_price": None if signal.limit_price is None else format_micros(signal.limit_price),
        "position_id": signal.position_id,
        "probability": signal.probability,
        "expected_edge": format_micros(signal.expected_edge),
        "horizon_days": signal.horizon_days,
        "model": signal.model,
        "model_version": signal.model_version,
        "explanation": signal.explanation,
    }


def activity_counts(desk: Desk, journal: Journal) -> dict[str, Any]:
    """Orders that opened and closed positions, and the venue's non-trade activities by type (OPEXP, OPEXC, OPASN, …), over the whole journal."""
    filled = Counter(
        record.signal.purpose for record in desk.records if int(desk.store.book.orders[record.row]["filled_qty"]) > 0
    )
    activities: Counter[str] = Counter()
    for entry in journal.read():
        event = decode(entry.kind, entry.payload)
        if isinstance(event, ActivityReceived) and event.activity.kind is not ActivityKind.FILL:
            activities[event.activity.kind.value] += 1
    return {
        "positions_opened": filled[Purpose.OPEN],
        "positions_closed": filled[Purpose.CLOSE],
        "activities": dict(sorted(activities.items())),
    }
