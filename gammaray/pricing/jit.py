"""How the kernels of this room are compiled: cached on disk, without the GIL, with numpy's rules for division by zero.

Machine code contains the inlined functions and constants of other modules, whose changes numba does not see: it compares the source file of
the kernel alone. Here the cache is valid for the text of a module and of all modules of ours that it imports.

`contract` is the only liberty given to the compiler: a product and a sum may become one fused multiply-add, which rounds once
instead of twice. Reassociation, which would break the compensated arithmetic, is not allowed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
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
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        # numba keeps the cache beside the module, else in the user's cache folder. Where neither can be written to, as in
        # a container with a read-only root and no home, the folder for temporary files is left.
        if "no locator available" not in str(error):
            raise
        folder = str(Path(tempfile.gettempdir()) / "gammaray-numba")
        config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = folder  # type: ignore[attr-defined]
        compiled = numba.njit(cache=True, **options)(function)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        compiled._cache._cache_file._source_stamp = source_stamp(Path(function.__code__.co_filename))
    return compiled  # type: ignore[no-any-return]


@functools.cache
def source_stamp(module: Path) -> str:
    """A hash of the text of a module and of the modules of this package that it imports, directly or not."""
    digest = hashlib.sha256()
    for path in sorted(_with_imports(module, set())):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(r"^from gammaray(\S*) import (\([^)]*\)|.*)", re.MULTILINE)


def _with_imports(module: Path, found: set[Path]) -> set[Path]:
    found.add(module)
    for dotted, names in _IMPORT.findall(module.read_text()):
        folder = _PACKAGE.joinpath(*dotted.split("."))
        # Either names of a module, or modules of a package.
        for path in (folder.with_suffix(".py"), *(folder / f"{name}.py" for name in re.findall(r"\w+", names))):
            if path.is_file() and path not in found:
                _with_imports(path, found)
    return found
