"""What the compiler makes of the kernels: vector registers, a cache that survives a read-only package, a quick cold start."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np
import pytest

import gammaray
from gammaray.pricing import black, implied_kernel, scenarios_kernel
from gammaray.pricing.jit import OPTIONS

BLOCK = black.BLOCK


def has_avx2() -> bool:
    return platform.machine() in ("x86_64", "AMD64") and bool(llvmlite.binding.get_host_cpu_features().get("avx2"))


def assembly(stage: Callable[..., Any]) -> str:
    """The machine code of a stage over one full block, so that there is no scalar remainder loop in it."""

    @numba.njit(**OPTIONS)
    def whole_block(scratch: np.ndarray) -> None:
        stage(scratch, BLOCK)

    whole_block.compile("void(float64[::1])")
    (text,) = whole_block.inspect_asm().values()
    return str(text)


# Two Mills ratios, three exponentials and a logarithm are at least 2·23 + 3·11 + 7 multiply-adds.
@pytest.mark.skipif(not has_avx2(), reason="needs x86-64 with AVX2")
@pytest.mark.parametrize(
    ("stage", "least"),
    [
        (black._price, 86),
        (black._first_order, 1),
        (black._second_order, 3),
        (black._third_order, 4),
        (implied_kernel._normalise, 29),
        (implied_kernel._guess, 20),
        (implied_kernel._improve, 64),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_stages_run_in_vector_registers(stage: Callable[..., Any], least: int) -> None:
    text = assembly(stage)
    packed = re.findall(r"\bvf(?:n?m(?:add|sub))\d+pd\s.*%[yz]mm", text)
    scalar = re.findall(r"\bv(?:f(?:n?m(?:add|sub))\d+|mul|add|sub|div|sqrt)sd\s", text)
    assert len(packed) >= least
    assert not scalar
    # No call to libm is left.
    assert not re.search(r"call\w*\s+\*?(exp|log|sqrt|erfc?|pow|fma)\b", text)


@pytest.mark.skipif(not has_avx2(), reason="needs x86-64 with AVX2")
@pytest.mark.parametrize("moves_rates", [False, True])
def test_revaluation_runs_in_vector_registers(moves_rates: bool) -> None:
    row = scenarios_kernel._row

    @numba.njit(**OPTIONS)
    def one_position(positions: np.ndarray, scenarios: np.ndarray, values: np.ndarray) -> None:
        row(positions, 0, scenarios, 0, moves_rates, values)

    one_position.compile("void(float64[:, ::1], float64[:, :, ::1], float64[::1])")
    (text,) = one_position.inspect_asm().values()
    packed = re.findall(r"\bvf(?:n?m(?:add|sub))\d+pd\s.*%[yz]mm", text)
    # Two Mills ratios and an exponential; two more where rates move. A scalar loop over what is left of a row is beside them.
    assert len(packed) >= 2 * 23 + 11 + (22 if moves_rates else 0)


COLD_START = """
import json, time
start = time.process_time()
import gammaray.pricing as pricing
imported = time.process_time()
price = pricing.price("C", 100, 105, 0.5, 0.03, 0.2)
greeks = pricing.greeks(["C", "P"], 100, 105, 0.5, 0.03, 0.2, order=3)
volatility = pricing.implied_volatility(price, "C", 100, 105, 0.5, 0.03)
called = time.process_time()
from gammaray.pricing import black, implied_kernel
print(json.dumps({
    "import": imported - start,
    "first_call": called - imported,
    "volatility": volatility,
    "hits": sum(k.stats.cache_hits.total() for k in (black.evaluate, implied_kernel.solve)),
    "folder": black.evaluate._cache.cache_path,
}))
"""


def cold_start(folder: Path, **environment: str) -> dict[str, Any]:
    """Figures of a fresh interpreter that imports the copy of the package in `folder`; times are of its CPU."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "PYTHON", "XDG_"))}
    run = subprocess.run(
        [sys.executable, "-c", COLD_START],
        env={**kept, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads(run.stdout)
    return figures


def copy_of_package(folder: Path) -> Path:
    """The package in a folder where numba can put no cache: a file stands in the way of every __pycache__, for root too."""
    source = Path(gammaray.__file__).parent
    for name in ("__init__.py", "pricing"):
        target = folder / "gammaray" / name
        if (source / name).is_dir():
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target)
    (folder / "gammaray" / "pricing" / "__pycache__").touch()
    return folder


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_cold_start_with_a_read_only_package(tmp_path: Path) -> None:
    package = copy_of_package(tmp_path / "site")
    home = tmp_path / "home"
    home.mkdir()
    first = cold_start(package, HOME=str(home))
    assert first["hits"] == 0
    assert Path(first["folder"]).is_relative_to(home)
    second = cold_start(package, HOME=str(home))
    assert second["hits"] == 2  # one machine code for each kernel, whatever the arguments were
    assert second["import"] < 1.0
    assert second["first_call"] < 1.0
    assert second["volatility"] == pytest.approx(0.2, rel=1e-12)


def test_cache_is_of_the_text_of_all_that_a_kernel_contains(tmp_path: Path) -> None:
    package = tmp_path / "gammaray"
    for name, text in {
        "pricing/jit.py": (Path(gammaray.__file__).parent / "pricing" / "jit.py").read_text(),
        "pricing/base.py": "LEVEL = 1.0\n",
        "pricing/middle.py": "from gammaray.pricing.base import (\n    LEVEL,\n)\n",
        "pricing/kernel.py": "from gammaray.pricing import middle\n",
        "other.py": "from gammaray.pricing.base import LEVEL\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)

    def stamps() -> list[str]:
        spec = importlib.util.spec_from_file_location("copy_of_jit", package / "pricing" / "jit.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return [module.source_stamp(package / name) for name in ("pricing/kernel.py", "pricing/jit.py", "other.py")]

    before = stamps()
    assert stamps() == before
    (package / "pricing" / "base.py").write_text("LEVEL = 2.0\n")
    after = stamps()
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, True, False]


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_cache_goes_to_the_temporary_folder_where_home_cannot_be_written(tmp_path: Path) -> None:
    package = copy_of_package(tmp_path / "site")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = "import gammaray.pricing.special as s; print(s.exp._cache.cache_path)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "HOME": "/dev/null", "TMPDIR": str(temporary)},
        cwd=package,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).is_relative_to(temporary / "gammaray-numba")


def test_interpreted_kernels_give_the_compiled_values() -> None:
    program = """
import json
from gammaray import pricing
from dataclasses import astuple
arguments = (["C", "P", "C"], 100.0, [90.0, 105.0, 100.0], [0.5, 1.0, 0.0], 0.03, [0.2, 1e-3, 0.3], 0.01)
greeks = pricing.greeks(*arguments, order=3)
price = pricing.price("P", 100.0, [80.0, 120.0], 0.5, 0.03, 0.25)
volatility = pricing.implied_volatility(price, "P", 100.0, [80.0, 120.0], 0.5, 0.03)
print(json.dumps([[float(v).hex() for v in column] for column in (*astuple(greeks), price, volatility)]))
"""
    results = []
    for disabled in ("1", "0"):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        results.append([[float.fromhex(v) for v in column] for column in json.loads(run.stdout)])
    # Not the same bits: without the compiler a fused multiply-add rounds twice.
    for interpreted, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, interpreted, rtol=1e-11, atol=1e-13)
