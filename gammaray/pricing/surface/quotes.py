"""Raw quotes of one option chain at one moment, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ChainQuotes:
    """Bid and ask of every contract of one underlying, one row per contract, in any order.

    A missing side is NaN or zero; such rows are accepted here and excluded, with a reason, by the fit. `expiration` is any integer that
    tells expiries apart (a date as yyyymmdd, an index); rows with one `expiration` must have one `tau`. Contracts that expire on one date
    but settle at different times (SPX in the morning, SPXW at the close) are different expirations.
    """

    expiration: IntArray
    tau: FloatArray  # years to expiry
    strike: FloatArray  # dollars
    is_call: BoolArray
    bid: FloatArray  # dollars per share
    ask: FloatArray
    spot: float
    rate: float | None = None  # continuous; None: implied from put-call parity
    bid_size: FloatArray | None = None  # contracts
    ask_size: FloatArray | None = None
    volume: FloatArray | None = None  # contracts traded today; a row counts as liquid when it is above zero

    def __post_init__(self) -> None:
        rows = np.shape(self.strike)
        if len(rows) != 1:
            raise ValueError(f"strike must be one-dimensional, got shape {rows}")
        columns: Sequence[tuple[str, type[np.generic]]] = (
            ("expiration", np.int64),
            ("tau", np.float64),
            ("strike", np.float64),
            ("is_call", np.bool_),
            ("bid", np.float64),
            ("ask", np.float64),
            ("bid_size", np.float64),
            ("ask_size", np.float64),
            ("volume", np.float64),
        )
        for name, dtype in columns:
            column = getattr(self, name)
            if column is None and name in ("bid_size", "ask_size", "volume"):
                continue
            array = np.ascontiguousarray(column, dtype=dtype)
            if array.shape != rows:
                raise ValueError(f"{name} must have one value per row {rows}, got shape {array.shape}")
            object.__setattr__(self, name, array)
        _require_finite("tau", self.tau)
        _require_finite("strike", self.strike)
        bad = np.flatnonzero(self.strike <= 0.0)
        if bad.size:
            raise ValueError(f"strike must be positive, got {self.strike[bad[0]]} at row {bad[0]}")
        if not (np.isfinite(self.spot) and self.spot > 0.0):
            raise ValueError(f"spot must be positive and finite, got {self.spot}")
        if self.rate is not None and not np.isfinite(self.rate):
            raise ValueError(f"rate must be finite or None, got {self.rate}")

    def __len__(self) -> int:
        return int(self.strike.shape[0])


def _require_finite(name: str, values: FloatArray) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"{name} must be finite, got {values[bad[0]]} at row {bad[0]}")
