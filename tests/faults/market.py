"""A market of one underlying with two expirations, drawn from a seed: what the desk sees and what the exchange fills at."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from gammaray.market.snapshot import ChainSnapshot, ContractTable
from gammaray.types.instruments import OptionContract, Right
from gammaray.types.money import CENT, MICROS

UNDERLYING = "XYZ"
STRIKES = (90, 95, 100, 105, 110, 115)


class Market:
    """Prices move by cents; an option is worth its intrinsic value plus a little, so that verticals have sensible signs."""

    def __init__(self, rng: np.random.Generator, today: date) -> None:
        self._rng = rng
        self.spot_cents = 10_250
        self._version = 0
        self.today = today
        self.list_contracts(today)

    def list_contracts(self, today: date) -> None:
        """The chain of a day: expirations today (the near one) and in a week."""
        self.today = today
        contracts = sorted(
            OptionContract(UNDERLYING, expiration, strike * 1000, right)
            for expiration in (today, today + timedelta(days=7))
            for strike in STRIKES
            for right in Right
        )
        ends = np.array([_close_ns(contract.expiration) for contract in contracts], dtype=np.int64)
        self.table = ContractTable(tuple(contracts), ends)

    def move(self) -> None:
        """A step of the underlying."""
        self.spot_cents = int(np.clip(self.spot_cents + self._rng.integers(-40, 41), 9_100, 11_400))

    def prices(self) -> dict[str, int]:
        """Micro-dollar mids of everything listed."""
        found = {UNDERLYING: self.spot_cents * CENT}
        for contract in self.table.contracts:
            found[contract.symbol] = self._option_cents(contract) * CENT
        return found

    def _option_cents(self, contract: OptionContract) -> int:
        away = self.spot_cents - contract.strike_milli // 10
        intrinsic = max(0, away if contract.is_call else -away)
        days = (contract.expiration - self.today).days
        return intrinsic + max(5, 60 + 10 * days - abs(away) // 8)

    def snapshot(self, now_ns: int, *, session_open: bool = True) -> ChainSnapshot:
        """What the market room would hand on."""
        self._version += 1
        table = self.table
        n = len(table)
        prices = self.prices()
        mid = np.array([prices[symbol] for symbol in table.symbols]) / MICROS
        tau = np.maximum((table.expiry_ns - now_ns) / (365.0 * 86_400e9), 1e-6)
        ones = np.ones(n)
        return ChainSnapshot(
            version=self._version,
            ts_ns=now_ns,
            underlying=UNDERLYING,
            session_open=session_open,
            spot=self.spot_cents / 100,
            spot_bid=self.spot_cents / 100 - 0.01,
            spot_ask=self.spot_cents / 100 + 0.01,
            spot_ts_ns=now_ns,
            table=table,
            tau=tau,
            bid=mid - 0.02,
            ask=mid + 0.02,
            bid_size=50 * ones,
            ask_size=50 * ones,
            quote_ts_ns=np.full(n, now_ns, dtype=np.int64),
            quality=np.zeros(n, dtype=np.uint8),
            implied_volatility=0.3 * ones,
            delta=np.where(table.is_call, 0.5, -0.5),
            gamma=0.02 * ones,
            vega=10.0 * ones,
            theta=-5.0 * ones,
            surface=(),
            rate=0.0,
            dividend_yield=0.0,
        )


def _close_ns(day: date) -> int:
    return ((day.toordinal() - 719_163) * 86_400 + 21 * 3600) * 10**9
