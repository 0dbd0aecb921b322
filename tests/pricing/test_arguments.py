"""Broadcasting, the option right, and errors that name the argument and the first offending index."""

from __future__ import annotations

import enum

import numpy as np
import pytest

from gammaray.pricing.arguments import Domain, broadcast, right_sign


class Right(enum.StrEnum):
    CALL = "C"
    PUT = "P"


@pytest.mark.parametrize(
    ("right", "sign"),
    [
        ("C", 1.0),
        ("P", -1.0),
        (1, 1.0),
        (-1.0, -1.0),
        (True, 1.0),
        (False, -1.0),
        (np.bool_(True), 1.0),
        (Right.PUT, -1.0),
        (["C", "P"], [1.0, -1.0]),
        ([Right.PUT, Right.CALL], [-1.0, 1.0]),
        (np.array([b"P", b"C"]), [-1.0, 1.0]),
        (np.array(["C", "P"], dtype=object), [1.0, -1.0]),
        (np.array([["P"], ["C"]]), [[-1.0], [1.0]]),
        (np.array([True, False]), [1.0, -1.0]),
        (np.array([-1, 1], dtype=np.int8), [-1.0, 1.0]),
    ],
)
def test_right_is_read_as_a_sign(right: object, sign: object) -> None:
    result = right_sign(right)  # type: ignore[arg-type]
    assert result.dtype == np.float64
    assert result.tolist() == sign


@pytest.mark.parametrize(
    ("right", "message"),
    [
        ("X", "right: expected 'C' or 'P', .* was 'X'"),
        ("c", "right: .* was 'c'"),
        (["C", "P", "Call"], r"right\[2\]: .* was 'Call'"),
        ([1, 0, 2], r"right\[1\]: .* was 0"),
        ([[1.0, -1.0], [1.0, float("nan")]], r"right\[1, 1\]: .* was nan"),
        (None, "right: .* was None"),
        (np.array(["P", None], dtype=object), r"right\[1\]: .* was None"),
    ],
)
def test_unknown_right_is_named(right: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        right_sign(right)  # type: ignore[arg-type]


def test_scalars_and_arrays_broadcast_to_flat_columns() -> None:
    result = broadcast(right="C", spot=100, strike=[[90.0], [110.0]], tau=np.array([1, 2, 3]))
    assert result.shape == (2, 3)
    assert result.size == 6
    assert not result.is_scalar
    assert [column.tolist() for column in result.columns] == [
        [1.0] * 6,
        [100.0] * 6,
        [90.0, 90.0, 90.0, 110.0, 110.0, 110.0],
        [1.0, 2.0, 3.0, 1.0, 2.0, 3.0],
    ]
    assert all(column.dtype == np.float64 and column.flags.c_contiguous for column in result.columns)


def test_shared_arguments_may_stay_of_length_one() -> None:
    result = broadcast(expand=False, spot=100.0, strike=[90.0, 110.0])
    assert [column.tolist() for column in result.columns] == [[100.0], [90.0, 110.0]]


def test_strided_and_integer_input_is_read() -> None:
    every_other = np.arange(8)[::2]
    assert broadcast(strike=every_other).columns[0].tolist() == [0.0, 2.0, 4.0, 6.0]


def test_empty_input_gives_empty_columns() -> None:
    result = broadcast(spot=100.0, strike=np.empty((0, 3)))
    assert result.shape == (0, 3)
    assert result.columns[0].size == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spot": [1.0, -2.0]}, r"spot\[1\]: expected finite and not negative, was -2.0"),
        ({"strike": np.array([[1.0, 2.0], [np.nan, -1.0]])}, r"strike\[1, 0\]: .* was nan"),
        ({"tau": -1.0}, "tau: expected finite and not negative, was -1.0"),
        ({"volatility": np.inf}, "volatility: .* was inf"),
        ({"rate": np.nan}, "rate: expected a finite number, was nan"),
        ({"discount": 0.0}, "discount: expected finite and positive, was 0.0"),
        ({"spot": "abc"}, "spot: expected numbers, was str 'abc'"),
        ({"spot": [1.0, 2.0], "tau": [1.0, 2.0, 3.0]}, r"do not broadcast together: spot \(2,\), tau \(3,\)"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broadcast(**arguments)  # type: ignore[arg-type]


def test_domains_may_be_given() -> None:
    assert np.isnan(broadcast(domains={"spot": Domain.ANY}, spot=np.nan).columns[0][0])
    with pytest.raises(ValueError, match="spot: expected finite and positive"):
        broadcast(domains={"spot": Domain.POSITIVE}, spot=0.0)


def test_result_takes_the_shape_of_the_arguments() -> None:
    arguments = broadcast(spot=[[1.0, 2.0]])
    values = arguments.output()
    values[:] = [3.0, 4.0]
    assert arguments.restore(values).tolist() == [[3.0, 4.0]]
    scalar = broadcast(spot=1.0)
    assert isinstance(scalar.restore(np.array([2.0])), float)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty(3), r"out: expected shape \(2,\), was \(3,\)"),
        (np.empty(2, dtype=np.float32), "out: expected a float64 array, was an array of float32"),
        (np.empty(4)[::2], "out: expected a writable C-contiguous array"),
        ([0.0, 0.0], "out: expected a float64 array, was list"),
    ],
)
def test_out_is_checked(out: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broadcast(spot=[1.0, 2.0]).output(out)  # type: ignore[arg-type]


def test_columns_are_of_one_type_for_the_compiler() -> None:
    frozen = np.array([90.0, 110.0])
    frozen.flags.writeable = False
    columns = broadcast(right="C", spot=100.0, strike=frozen, tau=np.float32([0.5, 1.0])).columns
    assert all(column.flags.writeable and column.flags.c_contiguous for column in columns)
