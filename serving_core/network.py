"""What a manifest says of a network: its inputs and outputs, and which of their axes is the batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from serving_core.models.manifest import Batch, ServedTransform, StatedExample
from serving_core.tensors import NUMERIC, TensorSpec

# A network's inputs or outputs, in the order of the manifest, each with its batch axis unless that is "none".
# BYTES are arrays of str.
Arrays = Sequence[NDArray[Any]]
# the output of a classifier's network that has the softmax inside
PROBABILITIES = "probabilities"
# the input of a classifier's graph that contains the transform, and of one without it
IMAGE = "image"
NORMALISED = "input"


@dataclass(frozen=True, slots=True)
class Network:
    """What an engine must know of a network beside its file.

    `inputs` and `outputs` are those of one item, without the batch's axis. `architecture` is the
    "package.module:factory" of a file that holds weights alone, None if the manifest names none. If `pixels`
    is set, the only input is made of an image: IMAGE, uint8 [n, height, width, 3], of which the engine makes
    normalised pixels if its file takes these; or NORMALISED, float32 [n, 3, crop, crop]. `tolerance` is the
    largest difference that approximate outputs may have. `example` is the manifest's, {} if it has none.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch: Batch = "any"
    architecture: str | None = None
    pixels: ServedTransform | None = None
    tolerance: float = 0.05
    example: Mapping[str, StatedExample] = field(default_factory=dict)

    def check_outputs(self, outputs: Arrays, count: int) -> None:
        """Raise ValueError unless `outputs` are as declared, in number, datatypes and shapes."""
        if len(outputs) != len(self.outputs):
            raise ValueError(f"the model gives {len(outputs)} outputs, its manifest has {len(self.outputs)}")
        front = () if self.batch == "none" else (count,)
        for spec, array in zip(self.outputs, outputs, strict=True):
            wanted = (*front, *spec.shape)
            fits = len(array.shape) == len(wanted) and all(
                known in {-1, size} for known, size in zip(wanted, array.shape, strict=True)
            )
            if not fits or NUMERIC.get(spec.datatype, array.dtype) != array.dtype:
                raise ValueError(
                    f"output {spec.name!r} is {array.dtype} {[*array.shape]}, "
                    f"its manifest says {spec.datatype} {[*wanted]}"
                )
