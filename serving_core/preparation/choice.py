"""Which preparation a service has: PIXELS says who prepares images, and the engine what it takes."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from serving_core.engine import Takes
from serving_core.errors import StartError
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.of_engine import Crops, WholeImages
from serving_core.preparation.preparation import DecodingLimits, Preparation
from serving_core.preparation.preparer import Preparer

Make = Callable[[ServedTransform, DecodingLimits], Preparation]
# what PIXELS=graph means, by what an engine takes
OF_ENGINES: Mapping[Takes, Make] = {"crop": Crops, "image": WholeImages}
# other values of PIXELS -> the class
BESIDE: Mapping[Preparer, str] = {
    "pillow": "serving_core.preparation.pillow:ByPillow",
    "simd": "serving_core.preparation.simd:BySimd",
    "native": "serving_core.preparation.native:ByNative",
}
# what those import that not every image has -> what is missing in words, and what brings it
REMEDIES = {
    "cykooz_resizer": "the package cykooz-resizer is missing: "
    "`sh tools/install.sh locks/onnx-simd.txt .venv` installs it, and the image of onnx_simd has it",
    "native_pixels": "the module native_pixels is missing: the image of onnx_native has it "
    "(docker compose --profile native up --build)",
}


def preparation_of(
    preparer: Preparer,
    engine: str,
    takes: Sequence[Takes],
    transform: ServedTransform,
    limits: DecodingLimits,
) -> Preparation:
    """Return the preparation of images for the engine of this name, which takes one of `takes`.

    Raises StartError if the engine takes no normalised crops, or if what prepares them is not installed.
    """
    if preparer == "graph":
        return OF_ENGINES[takes[0]](transform, limits)
    if "normalised" not in takes:
        raise StartError(
            f"PIXELS={preparer}: {engine}_serving takes crops of Pillow's alone: "
            "set PIXELS=graph, or use onnx_serving"
        )
    module, _, name = BESIDE[preparer].partition(":")
    try:
        make: Make = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        remedy = REMEDIES.get(error.name or "")
        if remedy is None:
            raise
        raise StartError(f"PIXELS={preparer}: {remedy}; or set PIXELS=pillow") from None
    return make(transform, limits)
