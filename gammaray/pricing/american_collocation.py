"""Nodes, quadrature and interpolation matrices of the exercise boundary's collocation, for the three accuracies.

Andersen, Lake and Offengenden, "High Performance American Option Pricing", Journal of Computational Finance 20(1), 2016. The squared log of
the boundary, as a function of the root of time, is interpolated at Chebyshev extrema. The integrals over the time to a past point of the
boundary are taken with time u = τ·sin²θ, τ − u = τ·cos²θ and Gauss–Legendre in θ: this removes the square-root singularities at both ends,
where the paper's substitution removes one. The integral of the price has in addition a front where the spot is near the boundary, at √v of the
order of its log distance z: there √(v/τ) = c·sinh(asinh(1/c)·s(2 − s)) with c of the order of z/(σ√τ), and Gauss–Legendre in s.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from gammaray.pricing.arguments import FloatArray

Accuracy = Literal["fast", "accurate", "high"]

GUESS_NODES = 12  # the numbers of nodes divide it, or are multiples of six: the kernels take six nodes at a time


class Collocation(NamedTuple):
    """The constants of one accuracy, n nodes, l quadrature points of the boundary equation and p of the price."""

    nodes: FloatArray
    """(n,) roots of time over the root of τ, from 1 downwards; the node 0, where the boundary is known, is left out."""
    cosine: FloatArray
    """(l,) √((τ − u)/τ)"""
    weight: FloatArray
    """(l,) weights of ∫ f(cos θ) d cos θ"""
    boundary: FloatArray
    """(n, l, n) takes the values at the nodes to those at the points u of each node's integral"""
    price_position: FloatArray
    """(p,) s·(2 − s) at the quadrature points s of the price"""
    price_weight: FloatArray
    """(p,) their weights, times its derivative"""
    transform: FloatArray
    """(n + 1, n) takes the values at the nodes to the coefficients of the Chebyshev polynomials of twice the root of time less one"""
    refinement: FloatArray
    """(n, GUESS_NODES) takes values at the nodes of the guess to those at `nodes`"""
    tolerance: float
    """The sweeps of an option end when its log boundary moved nowhere by more than this."""
    max_sweeps: int


_SIZES: dict[str, tuple[int, int, int, float]] = {
    "fast": (6, 5, 10, 2e-3),
    "accurate": (12, 8, 20, 2e-5),
    "high": (24, 24, 40, 1e-8),
}
CONVERGED = 1e-9  # the tolerance for differences and inversion: what is left of it after a sweep is below 2e-10
_MAX_SWEEPS = 60


def chebyshev_nodes(n: int) -> FloatArray:
    """The n upper of the n + 1 Chebyshev extrema on [0, 1], from 1 downwards."""
    return np.asarray(0.5 * (1.0 + np.cos(np.pi * np.arange(n) / n)))


def interpolation(n: int, points: FloatArray) -> FloatArray:
    """Matrix, shape points.shape + (n,), from values at `chebyshev_nodes(n)`, and 0 at the node 0, to those at `points`: barycentric."""
    extrema = 0.5 * (1.0 + np.cos(np.pi * np.arange(n + 1) / n))
    weights = (-1.0) ** np.arange(n + 1)
    weights[[0, -1]] *= 0.5
    distance = points[..., None] - extrema
    hit = np.abs(distance) < 1e-15
    terms = weights / np.where(hit, 1.0, distance)
    matrix = terms / terms.sum(axis=-1, keepdims=True)
    on_node = hit.any(axis=-1)
    matrix[on_node] = hit[on_node]
    return np.ascontiguousarray(matrix[..., :n])


def chebyshev_transform(n: int) -> FloatArray:
    """Matrix, shape (n + 1, n), from values at `chebyshev_nodes(n)`, and 0 at the node 0, to the coefficients of T₀…Tₙ."""
    halved = np.ones(n + 1)
    halved[[0, n]] = 0.5
    angles = np.pi * np.outer(np.arange(n + 1), np.arange(n)) / n
    return np.ascontiguousarray(2.0 / n * halved[:, None] * halved[:n] * np.cos(angles))


def _unit_gauss(points: int) -> tuple[FloatArray, FloatArray]:
    """Gauss–Legendre on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(points)
    return 0.5 * (x + 1.0), 0.5 * w


def _quadrature(points: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """cos θ, sin θ and the weights of ∫₀¹ f d cos θ."""
    position, weight = _unit_gauss(points)
    theta = 0.5 * np.pi * position
    return np.cos(theta), np.sin(theta), 0.5 * np.pi * weight * np.sin(theta)


@cache
def collocation(accuracy: Accuracy, *, converged: bool = False) -> Collocation:
    """The constants of an accuracy; `converged` iterates the boundary to `CONVERGED`, for differences and inversion.

    Raises ValueError for an unknown accuracy.
    """
    if accuracy not in _SIZES:
        raise ValueError(f"accuracy: expected one of {', '.join(map(repr, _SIZES))}, was {accuracy!r}")
    n, points, price_points, tolerance = _SIZES[accuracy]
    nodes = chebyshev_nodes(n)
    cosine, sine, weight = _quadrature(points)
    position, price_weight = _unit_gauss(price_points)
    return Collocation(
        nodes=nodes,
        cosine=cosine,
        weight=weight,
        boundary=interpolation(n, nodes[:, None] * sine),
        price_position=position * (2.0 - position),
        price_weight=price_weight * 2.0 * (1.0 - position),
        transform=chebyshev_transform(n),
        refinement=interpolation(GUESS_NODES, nodes),
        tolerance=CONVERGED if converged else tolerance,
        max_sweeps=_MAX_SWEEPS,
    )
