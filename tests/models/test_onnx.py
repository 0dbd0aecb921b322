"""The exported file answers as torch does, from raw features, and knows what it wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gammaray.models.dataset import TrainingSet
from gammaray.models.forecaster import ARCHITECTURES, LstmForecaster, NetworkConfig
from gammaray.models.onnx import OnnxForecaster, export_onnx
from gammaray.models.training import TrainingConfig
from gammaray.operations.errors import BadInput

CONFIG = NetworkConfig(look_back=20, training=TrainingConfig(epochs=2))


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_exported_model_equals_torch(name: str, world: TrainingSet, tmp_path: Path) -> None:
    model = ARCHITECTURES[name](world.feature_names, world.feature_version, CONFIG, seed=5)
    windows = world.windows(20)
    model.fit(windows)
    path = tmp_path / "model.onnx"
    export_onnx(model, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx"]  # self-contained
    served = OnnxForecaster(path)
    assert (served.architecture, served.look_back) == (name, 20)
    assert (served.feature_names, served.feature_version) == (world.feature_names, "test-1")
    # Scaling is inside the file: inputs here are raw, and extremes are cut alike.
    inputs = np.concatenate([windows.inputs[:200], windows.inputs[:5] * 1e4])
    for batch in (inputs, inputs[:1], inputs[:7]):
        np.testing.assert_allclose(served.predict(batch), model.predict(batch), rtol=0, atol=1e-5)
    with pytest.raises(BadInput, match=r"window: expected shape"):
        served.predict(inputs[:, 1:])


def test_an_unfitted_model_is_not_exported(world: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has not been fitted"):
        export_onnx(LstmForecaster(world.feature_names, "v", CONFIG), tmp_path / "model.onnx")


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BadInput, match="has no gammaray metadata"):
        OnnxForecaster(tmp_path / "other.onnx")
