"""The exported graph in ONNX Runtime."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort

from serving_core.engine import Batching, Compute, Logits, Pixels, refuse_gpu
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier

WARM_SIZES = ((256, 256), (300, 400), (727, 1200))
ERRORS_ONLY = 3


class OnnxEngine:
    """One session; each calling thread computes on one core."""

    name = "onnx"
    takes: Literal["crop", "image"] = "image"
    batching = Batching()

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Open the graph without optimising it; raises StartError if it is not a graph of this model."""
        refuse_gpu(compute, "onnx_serving")
        # As many requests as cores are computed at once: more threads for each would only compete for them.
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base class
            cause = str(error).splitlines()[0]
            raise StartError(
                f"{path.name} is not a graph that ONNX Runtime can open ({cause}): "
                "publish the model again, or give ONNX_MODEL_URI the address of a graph"
            ) from None
        inputs = [given.name for given in self._session.get_inputs()]
        outputs = {made.name: made.shape for made in self._session.get_outputs()}
        if inputs != ["image"] or outputs.get("logits", [0])[-1] != len(classifier.labels):
            raise StartError(
                f"{path.name} has inputs {inputs} and outputs {outputs}: "
                f"publish a graph from `image` to `logits` of {len(classifier.labels)} classes"
            )

    def warm(self) -> None:
        """Compute blank images of a few sizes."""
        for height, width in WARM_SIZES:
            self.predict(np.zeros((1, height, width, 3), np.uint8))

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 images [n, height, width, 3]."""
        logits: Logits = self._session.run(["logits"], {"image": batch})[0]
        return logits
