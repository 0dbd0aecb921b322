"""The check that stands before every model: shape and finiteness, with an error that names the feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gammaray.models.dataset import FloatArray
from gammaray.operations.errors import BadInput


def check_windows(inputs: FloatArray, look_back: int, feature_names: Sequence[str]) -> None:
    """Raises BadInput unless `inputs` is (m, look_back, F) and finite."""
    expected = (look_back, len(feature_names))
    if inputs.ndim != 3 or inputs.shape[1:] != expected:
        raise BadInput("window", f"expected shape (m, {look_back}, {len(feature_names)}), was {inputs.shape}")
    bad = np.argwhere(~np.isfinite(inputs))
    if len(bad):
        _, row, column = bad[0]
        raise BadInput(f"window[{row}].{feature_names[column]}", f"must be finite, was {inputs[tuple(bad[0])]}")
