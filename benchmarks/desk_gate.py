"""The pre-trade gate and the desk's transitions: latency of one check from Python on a book of 10,000 positions, events a second.

    python -m benchmarks.desk_gate

There is no public gate with collar, greeks by underlying and total, universal-spread margin and reservations to stand beside;
shared/speed.md quotes 390 µs for the whole order path of nautilus, risk checks included.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from gammaray.desk import events
from gammaray.desk.commands import SendOrder
from gammaray.desk.core.ledger import apply_fill
from gammaray.desk.core.orders import fill_leg, step
from gammaray.desk.desk import Desk
from gammaray.desk.limits import RiskLimits
from gammaray.desk.states import terminal_states, transition_table
from gammaray.desk.writer import Writer
from gammaray.pricing.jit import kernel
from gammaray.storage.sqlite_journal import SqliteJournal
from gammaray.types.account import Activity, ActivityKind, Execution, OrderUpdate, UpdateKind
from gammaray.types.instruments import OptionContract, Right
from gammaray.types.orders import OrderLeg, Side
from gammaray.types.signals import Purpose, Signal

NOW = int(datetime(2026, 3, 2, 15, 0, tzinfo=UTC).timestamp()) * 10**9
UNDERLYINGS, EXPIRATIONS, STRIKES = 50, 10, 20
WIDE = RiskLimits(**{
    name: 1_000_000.0 for name in RiskLimits.__dataclass_fields__
    if name.startswith(("max_delta", "max_gamma", "max_vega", "max_leverage"))
})  # fmt: skip


def build() -> tuple[Desk, list[str]]:
    """A desk that holds every one of 10,000 contracts, longs and shorts in pairs, quoted."""
    desk = Desk()
    desk.handle(events.DeskOpened(NOW, "B", "b", 10**15, (), ""))
    desk.handle(events.LimitsSet(NOW, WIDE, "benchmark"))
    rng = np.random.default_rng(1)
    symbols = [
        OptionContract(f"U{u:02d}", date(2026, 3, 6) + timedelta(days=7 * e), 100_000 + 1_000 * k, Right.CALL).symbol
        for u in range(UNDERLYINGS)
        for e in range(EXPIRATIONS)
        for k in range(STRIKES)
    ]
    for number, symbol in enumerate(symbols):
        qty = 2 if number % 2 == 0 else -2
        row = Activity(f"1{number:08d}", ActivityKind.FILL, NOW, symbol, qty, int(rng.integers(50, 500)) * 10_000)
        desk.handle(events.ActivityReceived(NOW, row))
    quotes = desk.store.book.quotes
    n = len(symbols)
    middle = rng.integers(100, 500, n) * 10_000
    for name, values in (("bid", middle - 10_000), ("ask", middle + 10_000), ("mark", middle)):
        quotes[name][:n] = values
    quotes["ts_ns"][:n] = NOW
    quotes["quality"][:n] = 0
    quotes["delta"][:n] = 5_000 * 10**6
    quotes["gamma"][:n] = 200 * 10**6
    quotes["vega"][:n] = 10 * 10**6
    for u in range(UNDERLYINGS):
        desk.decisions.open_sessions[f"U{u:02d}"] = True
    return desk, symbols


def vertical(desk: Desk, symbols: list[str], k: int, *, legs: int = 2) -> Signal:
    """A signal on contracts that are held on the same sides, at the middle of the market."""
    sides = (Side.BUY, Side.SELL) * 2
    chosen = tuple(OrderLeg(symbols[k + i], sides[i]) for i in range(legs))
    marks = desk.store.book.quotes["mark"]
    net = sum(sides[i].sign * int(marks[k + i]) for i in range(legs))
    return Signal("bench", symbols[k][:3], NOW, Purpose.OPEN, chosen, 1, net, f"p{k}", 0.5, 0, 1, "", "", "")


def percentiles(samples: list[int]) -> dict[str, float]:
    """Microseconds."""
    return {f"p{p}": round(float(np.percentile(samples, p)) / 1000, 2) for p in (50, 90, 99)}


def time_gate(desk: Desk, symbols: list[str], legs: int, rounds: int) -> dict[str, dict[str, float]]:
    """Latency of the gate's check (request in, verdict out) and of the whole decision (event made), over different contracts."""
    rng = np.random.default_rng(2)
    places = rng.integers(0, len(symbols) // 4, rounds) * 4
    signals = [vertical(desk, symbols, int(k), legs=legs) for k in places]
    books, gate = desk.books, desk.decisions._gate
    books.refresh()
    check, decision = [], []
    for signal in signals:
        began = time.perf_counter_ns()
        code = gate.check(
            books.store, books.limit_row, signal.legs, signal.qty, signal.limit_price, signal.purpose, NOW
        )
        check.append(time.perf_counter_ns() - began)
        assert code == 0, gate.denial(books.store)
    for signal in signals:
        began = time.perf_counter_ns()
        desk.decide(signal, NOW)
        decision.append(time.perf_counter_ns() - began)
    # What the check costs where nobody else wants the processor: the least mean of seven passes, in CPU time.
    passes = []
    for _ in range(7):
        started = time.process_time_ns()
        for signal in signals:
            gate.check(books.store, books.limit_row, signal.legs, signal.qty, signal.limit_price, signal.purpose, NOW)
        passes.append((time.process_time_ns() - started) / len(signals))
    return {
        "check_us": percentiles(check),
        "check_cpu_us": {"mean": round(min(passes) / 1000, 2)},
        "decide_us": percentiles(decision),
    }


@kernel
def churn(book, table, terminal, order, events_wanted):  # type: ignore[no-untyped-def]
    """Acknowledge, fill and reopen one order again and again: transitions and FIFO ledger with no Python between."""
    done = 0
    side = 1
    while done < events_wanted:
        step(book, table, terminal, order, 3, done)
        fill_leg(book, order, 0, side, 1_000_000 + done % 100, True)
        step(book, table, terminal, order, 5, done)
        book.orders[order]["leg_filled"][0] = 0
        book.orders[order]["filled_qty"] = 0
        apply_fill(book, book.orders[order]["leg_instrument"][0], -side, 1_000_000)
        done += 4
        side = -side
    return done


def time_core(desk: Desk, symbols: list[str], wanted: int) -> float:
    """Events a second in the compiled loop."""
    event = desk.decide(vertical(desk, symbols, 0), NOW)
    desk.handle(event)
    desk.store.reserve_lots(16)
    arguments = (desk.store.book, transition_table(), terminal_states(), desk.store.orders - 1)
    churn(*arguments, 8)
    began = time.process_time()
    done = churn(*arguments, wanted)
    return float(done / (time.process_time() - began))


class _Nowhere:
    """A courier without a venue: what would be sent is dropped."""

    def carry(self, command: object) -> list[events.Event]:
        assert isinstance(command, SendOrder)
        return []


def time_journal(folder: Path, batches: int, batch: int) -> dict[str, float]:
    """Events a second through handle, encode and SQLite with one commit a batch."""
    desk, symbols = build()
    writer = Writer(SqliteJournal(folder / "journal.db"), _Nowhere(), snapshot_every=10**9, lookup_misses=3)  # type: ignore[arg-type]
    writer.take_over()
    writer.desk = desk
    desk.handle(desk.decide(vertical(desk, symbols, 0), NOW))
    client_order_id = desk.records[-1].client_order_id
    rounds = [
        [
            events.UpdateReceived(
                NOW,
                OrderUpdate(
                    UpdateKind.NEW,
                    client_order_id,
                    "v",
                    NOW,
                    (Execution(f"x{number}-{k}", symbols[(7 * k) % 9_999], 1, 1_000_000),),
                    number * batch + k,
                ),
            )
            for k in range(batch)
        ]
        for number in range(batches)
    ]
    began, cpu = time.perf_counter(), time.process_time()
    for each in rounds:
        writer.run(*each)
    events_done = batches * batch
    return {
        "batch": batch,
        "events_per_s": round(events_done / (time.perf_counter() - began)),
        "events_per_cpu_s": round(events_done / (time.process_time() - cpu)),
    }


def main() -> None:
    """Print the figures and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "desk_gate.json")
    arguments = parser.parse_args()
    desk, symbols = build()
    result: dict[str, object] = {"machine": platform.processor() or platform.machine(), "positions": len(symbols)}
    for legs in (2, 4):
        time_gate(desk, symbols, legs, 200)
        result[f"{legs}_legs"] = time_gate(desk, symbols, legs, arguments.rounds)
    began = time.perf_counter_ns()
    for _ in range(50):
        desk.books.touch()
        desk.books.refresh()
    result["revalue_us"] = round((time.perf_counter_ns() - began) / 50_000, 1)
    result["core_events_per_cpu_s"] = round(time_core(desk, symbols, 4_000_000))
    with tempfile.TemporaryDirectory() as folder:
        result["journal"] = time_journal(Path(folder), 40, 500)
    print(json.dumps(result, indent=1))
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
