"""Which preparation a service has: PIXELS says who prepares images, and the engine what it takes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module

from serving_core.engine import Takes
from serving_core.errors import StartError
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.normalisation import Normalisation
from serving_core.preparation.of_engine import WholeImages
from serving_core.preparation.pillow import ByPillow
from serving_core.preparation.plain_levels import PlainLevels
from serving_core.preparation.preparation import CropForm, DecodingLimits, Preparation
from serving_core.preparation.preparer import Preparer

Make = Callable[[ServedTransform, DecodingLimits, CropForm], Preparation]
# the forms of crops, that of the least work for the engine first
FORMS: Mapping[Takes, Callable[[ServedTransform], CropForm]] = {
    "normalised": Normalisation,
    "crop": PlainLevels,
}
NATIVE_REMEDY = (
    "the module native_pixels is missing: the image of onnx_native has it "
    "(docker compose --profile native up --build); or set PIXELS=pillow"
)

log = logging.getLogger("serving_core.preparation")


def preparation_of(
    preparer: Preparer,
    engine: str,
    takes: Sequence[Takes],
    transform: ServedTransform,
    limits: DecodingLimits,
) -> Preparation:
    """Return the preparation of images for the engine of this name, which takes one of `takes`.

    If SIMD cannot be used here, Pillow prepares the same crops, and the log says so once. Raises StartError
    if the engine takes whole images alone, or if native_pixels is not installed.
    """
    if preparer == "graph" and takes[0] == "image":
        return WholeImages(transform, limits)
    form = next((make for form, make in FORMS.items() if form in takes), None)
    if form is None:
        raise StartError(f"PIXELS={preparer}: {engine}_serving takes whole images alone: set PIXELS=graph")
    return MAKERS[preparer]()(transform, limits, form(transform))


def _pillow() -> Make:
    return ByPillow


def _simd() -> Make:
    return _with_vectors("simd", "BySimd")


def _scaled() -> Make:
    return _with_vectors("scaled", "Scaled")


@cache
def _with_vectors(name: str, preparation: str) -> Make:
    try:
        module = import_module(f"serving_core.preparation.{name}")
    except ImportError as error:  # not installed, or built for another processor
        cause = " ".join(str(error).split())[:200]
        log.warning("SIMD cannot be used: Pillow prepares images instead", extra={"cause": cause})
        return ByPillow
    instructions: str = module.instructions()
    if instructions == "none":
        log.warning(
            "SIMD cannot be used: Pillow prepares images instead",
            extra={"cause": "this processor has none of the instructions that cykooz-resizer uses"},
        )
        return ByPillow
    log.info("images are resized by SIMD", extra={"instructions": instructions})
    made: Make = getattr(module, preparation)
    return made


def _native() -> Make:
    try:
        made: Make = import_module("serving_core.preparation.native").ByNative
    except ModuleNotFoundError as error:
        if error.name != "native_pixels":
            raise
        raise StartError(f"PIXELS=native: {NATIVE_REMEDY}") from None
    return made


# "graph" is here for engines that take crops, of which Pillow is the reference
MAKERS: Mapping[Preparer, Callable[[], Make]] = {
    "graph": _pillow,
    "pillow": _pillow,
    "simd": _simd,
    "native": _native,
    "scaled": _scaled,
}
