"""Arguments of the pricing functions: broadcasting, the option right, and validation that names what is wrong.

Every public function of this room takes scalars or arrays that broadcast, works on flat contiguous float64 columns and
gives back an array of the broadcast shape, or a float when all arguments were scalars.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

LARGEST = float(np.finfo(np.float64).max)
SMALLEST_POSITIVE = float(np.nextafter(0.0, 1.0))


class Domain(Enum):
    """The values an argument may take; the value of a member is the least number allowed (None: nothing is checked)."""

    ANY = None
    FINITE = -LARGEST
    NON_NEGATIVE = 0.0
    POSITIVE = SMALLEST_POSITIVE

    def __str__(self) -> str:
        return {
            Domain.ANY: "a number",
            Domain.FINITE: "a finite number",
            Domain.NON_NEGATIVE: "finite and not negative",
            Domain.POSITIVE: "finite and positive",
        }[self]


DOMAINS: Mapping[str, Domain] = {
    "price": Domain.ANY,
    "spot": Domain.NON_NEGATIVE,
    "forward": Domain.NON_NEGATIVE,
    "strike": Domain.NON_NEGATIVE,
    "tau": Domain.NON_NEGATIVE,
    "volatility": Domain.NON_NEGATIVE,
    "discount": Domain.POSITIVE,
    "rate": Domain.FINITE,
    "dividend_yield": Domain.FINITE,
}


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Arguments brought to one shape: `columns` in the order they were given, each 1-D contiguous float64.

    `arrays` holds them by name in the shapes they were given in.
    """

    shape: tuple[int, ...]
    is_scalar: bool
    columns: tuple[FloatArray, ...]
    arrays: Mapping[str, FloatArray]

    @property
    def size(self) -> int:
        """The number of options."""
        return math.prod(self.shape)

    def check(self, domains: Mapping[str, Domain] | None = None) -> None:
        """Raise ValueError naming the first argument that is not in its domain, see `broadcast`, and the index in it."""
        for name, array in self.arrays.items():
            if name != "right":
                require(name, array, (domains or {}).get(name) or DOMAINS.get(name, Domain.FINITE))

    def output(self, out: FloatArray | None = None, *, results: int | None = None) -> FloatArray:
        """A float64 buffer, flat or with a row for each of `results`: a view of `out` where given, else new.

        Raises ValueError when `out` is not a writable C-contiguous float64 array of the broadcast shape, preceded by the
        number of results where that is given.
        """
        flat = (self.size,) if results is None else (results, self.size)
        if out is None:
            return np.empty(flat)
        shape = self.shape if results is None else (results, *self.shape)
        if not isinstance(out, np.ndarray) or out.dtype != np.float64:
            raise ValueError(f"out: expected a float64 array, was {_describe(out)}")
        if out.shape != shape:
            raise ValueError(f"out: expected shape {shape}, was {out.shape}")
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError("out: expected a writable C-contiguous array")
        return out.reshape(flat)

    def restore(self, values: FloatArray) -> Any:
        """A flat result in the shape of the arguments: a float for scalars, else an array that shares the memory."""
        return float(values[0]) if self.is_scalar else values.reshape(self.shape)


def broadcast(
    *,
    domains: Mapping[str, Domain] | None = None,
    expand: bool = True,
    check: bool = True,
    **arguments: ArrayLike,
) -> Broadcast:
    """Validate named arguments and bring them to one shape as flat contiguous float64 columns.

    An argument called `right` is read by `right_sign` into +1 and -1; the others are checked against `domains`, else
    against the domain of that name in `DOMAINS`, else must be finite. Columns are never to be written to: they may
    share memory with the caller's arrays. With `expand=False` an argument of one element stays a column of length one.
    `check=False` leaves out the domains, for kernels that notice invalid values themselves and call `check` to name them.

    Raises ValueError naming the argument and the first offending index, or the shapes that do not broadcast together.
    """
    arrays = {
        name: right_sign(value) if name == "right" else as_float64(name, value) for name, value in arguments.items()
    }
    shape = _broadcast_shape(arrays)
    columns = tuple(_column(array, shape, expand) for array in arrays.values())
    result = Broadcast(shape, all(array.ndim == 0 for array in arrays.values()), columns, arrays)
    if check:
        result.check(domains)
    return result


def as_float64(name: str, value: ArrayLike) -> FloatArray:
    """`value` as a float64 array of its own shape; ValueError naming the argument where it is not numeric."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected numbers, was {_describe(value)}") from None


def require(name: str, values: FloatArray, domain: Domain) -> None:
    """Raise ValueError naming `name` and the first index whose value is not in `domain`."""
    lowest = domain.value
    if lowest is None:
        return
    if values.ndim == 0:
        if not lowest <= float(values) <= LARGEST:
            raise ValueError(f"{name}: expected {domain}, was {float(values)}")
        return
    # The extremes tell whether all is well, with NaN propagated, at a tenth of the cost of a mask.
    if values.size == 0 or (values.min() >= lowest and values.max() <= LARGEST):
        return
    index = first_index(~((values >= lowest) & (values <= LARGEST)))
    raise ValueError(f"{name}{_subscript(index)}: expected {domain}, was {values[index]}")


def right_sign(right: ArrayLike) -> FloatArray:
    """The right of an option as +1.0 (call) or -1.0 (put), in the shape of `right`.

    `right` is 'C' or 'P', +1 or -1, or a bool that says whether the option is a call; or an array of one of these.
    Raises ValueError naming the first index that is none of them.
    """
    if isinstance(right, str):
        if right == "C":
            return np.array(1.0)
        if right == "P":
            return np.array(-1.0)
        raise ValueError(f"right: expected {_RIGHTS}, was {right!r}")
    array = np.asarray(right)
    if array.dtype.kind == "b":
        return array * 2.0 - 1.0
    if array.dtype.kind in "iuf":
        sign = array.astype(np.float64)
        known = np.abs(sign) == 1.0
    else:
        # Object arrays hold str, bytes or enumeration members; a fixed-width copy compares as text.
        if array.dtype.kind == "S":
            array = np.char.decode(array, "latin-1")
        text = array.astype(str, copy=False)
        if text.dtype == "<U1" and text.flags.c_contiguous:
            codes = text.reshape(-1).view(np.uint32).reshape(text.shape)
            is_call, is_put = codes == ord("C"), codes == ord("P")
        else:
            is_call, is_put = text == "C", text == "P"
        known = is_call | is_put
        sign = is_call * 2.0 - 1.0
    if not known.all():
        index = first_index(~known)
        raise ValueError(f"right{_subscript(index)}: expected {_RIGHTS}, was {array.item(index)!r}")
    return sign


def first_index(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """The index of the first True of `mask`, which must have one, in C order."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


_RIGHTS = "'C' or 'P', +1 or -1, or a bool that is true for a call"


def _column(array: FloatArray, shape: tuple[int, ...], expand: bool) -> FloatArray:
    if array.shape != shape and (array.size > 1 or expand):
        array = np.broadcast_to(array, shape)
    column = (array if array.flags.c_contiguous else np.ascontiguousarray(array)).reshape(-1)
    # numba compiles a kernel anew for read-only arrays: a copy costs microseconds, that seconds.
    return column if column.flags.writeable else column.copy()


def _broadcast_shape(arrays: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    distinct = {array.shape for array in arrays.values()} - {()}
    if len(distinct) <= 1:
        return distinct.pop() if distinct else ()
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array.ndim)
        raise ValueError(f"arguments do not broadcast together: {shapes}") from None


def _subscript(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"{type(value).__name__} {value!r}"[:80]
