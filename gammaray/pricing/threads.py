"""Rows of one call shared among threads; the kernels run without the GIL.

One thread is the default everywhere: inside a Ray worker a second one fights its neighbours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

Result = TypeVar("Result")

SHARE_MULTIPLE = 128  # a share is whole blocks of the kernels
SMALLEST_SHARE = 64 * SHARE_MULTIPLE  # below, handing over costs more than it gains


def in_threads(
    work: Callable[[int, int], Result], size: int, threads: int, *, smallest: int = SMALLEST_SHARE
) -> list[Result]:
    """`work(start, stop)` over shares that cover range(size), in at most `threads` threads; results in the order of the rows.

    No share has fewer than `smallest` rows.

    Raises ValueError when `threads` is less than one.
    """
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, was {threads}")
    count = 1 if threads == 1 else min(threads, max(1, size // smallest))
    if count == 1:
        return [work(0, size)]
    blocks = -(-size // SHARE_MULTIPLE)
    edges = [min(size, SHARE_MULTIPLE * (blocks * k // count)) for k in range(count + 1)]
    others = [_pool(threads).submit(work, start, stop) for start, stop in pairwise(edges[1:])]
    return [work(edges[0], edges[1]), *(other.result() for other in others)]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="gammaray-pricing")
