"""The page about features says what the definitions say, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gammaray.features.description import markdown_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_page_has_the_table_of_the_definitions():
    assert PAGE.read_text().endswith(markdown_table() + "\n")


def test_the_example_of_the_page_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["engine"].names[-1] == "range_change"
    # ln(1.1) − ln(1.05)
    value = names["range_change"].compute(np.array([105.0, 110.0]), np.array([100.0, 100.0]))
    assert value == np.log(1.1) - np.log(1.05)
