"""Export of a torch forecaster to ONNX with its scaling inside, and the forecaster that serves such a file."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gammaray.models.dataset import N_TARGETS, FloatArray
from gammaray.models.windows import check_windows
from gammaray.operations.errors import BadInput

if TYPE_CHECKING:
    from gammaray.models.forecaster import TorchForecaster

INPUT_NAME, OUTPUT_NAME = "window", "forecast"
_METADATA_KEY = "gammaray"


def export_onnx(model: TorchForecaster, path: Path) -> None:
    """Write `model` as one self-contained ONNX file: float32 (m, look_back, F) → (m, 2), raw units on both sides, any batch size.

    Names and version of the features stand in the file's metadata. Raises BadInput when the model has not been fitted.
    """
    import onnx
    import torch

    if not model.fitted:
        raise BadInput("model", "has not been fitted")
    torch.set_num_threads(1)
    example = torch.zeros(2, model.look_back, len(model.feature_names))
    network = model.clone().network.eval()
    with _quiet_exporter():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes={"window": {0: torch.export.Dim("batch", min=1)}},
            external_data=False,
            verbose=False,
        )
    assert program is not None  # dynamo=True always returns the program
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key = _METADATA_KEY
    entry.value = json.dumps(
        {
            "architecture": model.architecture,
            "look_back": model.look_back,
            "feature_names": list(model.feature_names),
            "feature_version": model.feature_version,
        }
    )
    onnx.save(proto, path)


class OnnxForecaster:
    """A forecaster read from an exported file, run by onnxruntime on one thread. `predict` may be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Load `path`. Raises BadInput when the file is not one of ours."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        metadata = self._session.get_modelmeta().custom_metadata_map
        if _METADATA_KEY not in metadata:
            raise BadInput(str(path), "has no gammaray metadata; was it exported by export_onnx?")
        content = json.loads(metadata[_METADATA_KEY])
        self.architecture: str = content["architecture"]
        self.look_back: int = content["look_back"]
        self.feature_names: tuple[str, ...] = tuple(content["feature_names"])
        self.feature_version: str = content["feature_version"]

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Forecasts (m, 2) for windows (m, look_back, F), raw units. Raises BadInput for wrong shapes or NaN."""
        check_windows(inputs, self.look_back, self.feature_names)
        (out,) = self._session.run([OUTPUT_NAME], {INPUT_NAME: inputs.astype(np.float32)})
        return np.asarray(out, dtype=np.float64).reshape(len(inputs), N_TARGETS)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns about its own internals; none of it concerns a caller."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
