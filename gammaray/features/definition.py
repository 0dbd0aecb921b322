"""What a feature is: a pure function of the last `window` daily records, with a name, a version, units and a description."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gammaray.market.daily import DailyRecord

FloatArray = NDArray[np.float64]

INPUTS = (
    "day",
    "open",
    "high",
    "low",
    "close",
    "samples",
    "atm_iv_30d",
    "atm_iv_90d",
    "skew_25d",
    "relative_spread",
    "size_imbalance",
)
"""Columns that a feature may read: those of `DailyRecord`, and `day` as days since 1970-01-01."""

_EPOCH = 719_163


def input_row(record: DailyRecord) -> FloatArray:
    """The inputs of one record, in the order of `INPUTS`."""
    day = float(record.day.toordinal() - _EPOCH)
    return np.array([day, *(float(getattr(record, name)) for name in INPUTS[1:])])


@dataclass(frozen=True, slots=True)
class Feature:
    """One definition.

    inputs: columns handed to `compute`, each an array with the values of the last `window` sessions, oldest first.
    compute: must not keep state, read anything else or change its arguments. Its result is NaN where any input is.
    """

    name: str
    version: int
    inputs: tuple[str, ...]
    window: int
    units: str
    doc: str
    compute: Callable[..., float]

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"name: expected an identifier, was {self.name!r}")
        if self.version < 1:
            raise ValueError(f"version: expected 1 or more, was {self.version} ({self.name})")
        unknown = sorted(set(self.inputs) - set(INPUTS))
        if unknown or not self.inputs:
            raise ValueError(f"inputs: expected some of {', '.join(INPUTS)}, was {self.inputs} ({self.name})")
        if self.window < 1:
            raise ValueError(f"window: expected 1 or more sessions, was {self.window} ({self.name})")

    def value(self, columns: FloatArray) -> float:
        """The value at the last of the sessions in `columns`, shape (inputs of `INPUTS`, sessions); NaN with too few or unknown inputs."""
        if columns.shape[1] < self.window:
            return float("nan")
        rows = [_INDEX[name] for name in self.inputs]
        # Fresh contiguous copies: the same memory layout in batch and live, so the same bits come out.
        arguments = [columns[row, columns.shape[1] - self.window :].copy() for row in rows]
        if not all(np.isfinite(argument).all() for argument in arguments):
            return float("nan")
        result = float(self.compute(*arguments))
        return result if np.isfinite(result) else float("nan")


_INDEX = {name: row for row, name in enumerate(INPUTS)}


def feature(
    *inputs: str, window: int, units: str, name: str = "", version: int = 1
) -> Callable[[Callable[..., float]], Feature]:
    """Make a `Feature` of a function of the arrays named by `inputs`; its docstring is the description, its name the default name."""

    def decorate(compute: Callable[..., float]) -> Feature:
        doc = " ".join((compute.__doc__ or "").split())
        return Feature(name or compute.__name__, version, inputs, window, units, doc, compute)

    return decorate


def set_version(features: Sequence[Feature]) -> str:
    """The version of a set of features: changes with any name, version or order in it. Raises ValueError for a doubled name."""
    names = [item.name for item in features]
    if len(set(names)) != len(names):
        doubled = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"features: more than one definition of {doubled}")
    text = ",".join(f"{item.name}:{item.version}" for item in features)
    return f"{len(features)}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
