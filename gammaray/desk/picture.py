"""Frozen pictures of a desk for strategies, reports and people."""

from __future__ import annotations

from typing import Any

from gammaray.desk.core.exposure import available_funds
from gammaray.desk.core.ledger import open_cost
from gammaray.desk.desk import Desk
from gammaray.desk.records import OrderRecord
from gammaray.desk.view import BookView, PositionView, WorkingOrder
from gammaray.types.orders import OrderState


def book_view(desk: Desk, now_ns: int) -> BookView:
    """The book at a time, as strategies may see it."""
    equity = desk.equity
    account = desk.store.book.account[0]
    return BookView(
        ts_ns=now_ns,
        trading_state=desk.trading_state,
        cash=int(account["cash"]),
        equity=equity,
        start_of_day_equity=int(account["start_of_day_equity"]),
        positions=positions(desk),
        strategy_positions=desk.books.strategies.views(),
        working_orders=tuple(working_order(desk, record) for record in desk.books.working.values()),
    )


def positions(desk: Desk) -> dict[str, PositionView]:
    """Open positions by symbol, in the order in which the symbols first appeared."""
    book = desk.store.book
    views = {}
    for row, symbol in enumerate(desk.store.symbols):
        qty = int(book.positions[row]["qty"])
        if qty:
            cost = int(open_cost(book, row))
            # To the nearest micro-dollar, halves up, in integers.
            average = (2 * abs(cost) + abs(qty)) // (2 * abs(qty))
            views[symbol] = PositionView(symbol, qty, average, int(book.positions[row]["realized"]))
    return views


def working_order(desk: Desk, record: OrderRecord) -> WorkingOrder:
    """An order of ours that is not done."""
    row = desk.store.book.orders[record.row]
    return WorkingOrder(
        client_order_id=record.client_order_id,
        strategy=record.signal.strategy,
        position_id=record.signal.position_id,
        purpose=record.signal.purpose,
        legs=record.legs,
        leaves_qty=int(row["qty"] - row["filled_qty"]),
        limit_price=record.limit_price,
        submitted_ns=int(row["intended_ns"]),
    )


def totals(desk: Desk) -> dict[str, Any]:
    """Figures of the run so far; money in micro-dollars. Fees are not in the realised profit."""
    desk.books.refresh()
    book = desk.store.book
    account, valuation = book.account[0], book.valuation[0]
    by_state = {state.name: 0 for state in OrderState}
    packages = 0
    for record in desk.records:
        by_state[desk.order_state(record).name] += 1
        packages += record.is_package and int(book.orders[record.row]["filled_qty"]) > 0
    return {
        "orders_by_state": {name: count for name, count in by_state.items() if count},
        "denials_by_rule": dict(sorted(desk.books.memory.denials.items())),
        "multi_leg_fills": packages,
        "executions": int(account["executions"]),
        "fees": int(account["fees"]),
        "income": int(account["income"]),
        "cash": int(account["cash"]),
        "equity": int(valuation["equity"]),
        "realized_pnl": int(account["realized"]),
        "unrealized_pnl": int(valuation["unrealized"]),
        "margin_requirement": int(valuation["option_requirement"] + valuation["share_requirement"]),
        "available_funds": int(available_funds(book)),
        "dollar_delta": int(valuation["delta"]),
        "dollar_gamma_1pct": int(valuation["gamma"]),
        "dollar_vega_point": int(valuation["vega"]),
        "open_positions": sum(1 for qty in book.positions["qty"][: len(desk.store.symbols)] if qty),
        "working_orders": len(desk.books.working),
        "external_orders": len(desk.books.memory.external_orders),
        "external_fills": desk.books.memory.external_fills,
        "anomalies": desk.books.memory.anomalies,
        "reconciliation_differences": desk.books.memory.differences,
        "trading_state": desk.trading_state.value,
        "strategies": {
            name: {"net_cash": result.net_cash, "executions": result.executions}
            for name, result in sorted(desk.books.strategies.results.items())
        },
    }
