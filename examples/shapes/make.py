"""python -m examples.shapes.make: write an image classifier in ONNX, its weights drawn from a seed."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from examples.output_folder import output_folder

SEED = 192
LABELS = ("circle", "cross", "line", "square", "triangle")
# the softmax is in the graph, as many exports have it: its output is probabilities
GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
shapes (float[n, 3, 192, 192] pixels) => (float[n, 5] probabilities) {
    wide = Conv<strides = [4, 4]>(pixels, first)
    wide_positive = Relu(wide)
    deep = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(wide_positive, second)
    deep_positive = Relu(deep)
    means = ReduceMean<keepdims = 0>(deep_positive, sides)
    logits = MatMul(means, last)
    probabilities = Softmax<axis = 1>(logits)
}
"""


def weights() -> dict[str, NDArray[np.float32]]:
    """Return the filters and the last layer, drawn so that features keep their size from layer to layer."""
    chance = np.random.default_rng(SEED)

    def drawn(*shape: int) -> NDArray[np.float32]:
        inputs = np.prod(shape[1:])
        values: NDArray[np.float32] = (chance.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32)
        return values

    return {"first": drawn(32, 3, 8, 8), "second": drawn(64, 32, 3, 3), "last": 3 * drawn(64, 5)}


def make(folder: Path) -> Path:
    """Write shapes.onnx and labels.txt into the folder; return the former."""
    model = parser.parse_model(GRAPH)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights().items())
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "sides"))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "shapes.onnx")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS), "utf-8")
    return folder / "shapes.onnx"


if __name__ == "__main__":
    print(f"wrote {make(output_folder('shapes', __doc__))} and its labels.txt")
