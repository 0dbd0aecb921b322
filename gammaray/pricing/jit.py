"""How the kernels of this room are compiled: cached on disk, without the GIL, with numpy's rules for division by zero.

`contract` is the only liberty given to the compiler: a product and a sum may become one fused multiply-add, which rounds once
instead of twice. Reassociation, which would break the compensated arithmetic, is not allowed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

OPTIONS: Mapping[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a loop over columns when it is first called, and keep the machine code on disk."""
    return _compile(function, forceinline=False)


def inlined(function: Function) -> Function:
    """Compile a function that is to be merged into the loops that call it, so that they vectorise."""
    return _compile(function, forceinline=True)


def _compile(function: Function, *, forceinline: bool) -> Function:
    options = {**OPTIONS, "forceinline": forceinline}
    try:
        compiled: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        # numba keeps the cache beside the module, else in the user's cache folder. Where neither can be written to, as in
        # a container with a read-only root and no home, the folder for temporary files is left.
        if "no locator available" not in str(error):
            raise
        folder = str(Path(tempfile.gettempdir()) / "gammaray-numba")
        config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = folder  # type: ignore[attr-defined]
        compiled = numba.njit(cache=True, **options)(function)
    return compiled
