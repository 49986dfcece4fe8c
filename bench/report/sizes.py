"""How large the images are: what is shared, what is wasted, which packages weigh, and what the model adds."""

from bench.analysis import image_overlap as images
from bench.analysis.run_analysis import RunAnalysis
from bench.model import ImageSize, Run
from bench.report import text
from bench.report.text import EMPTY, MISSING, table

LARGEST = 10
NOTE = "The last three are unpacked. What images share, a host pulls and stores once."
MORE = (
    "*Wasted* are files that a later layer replaces or removes. The model lies in no layer: it is pulled at "
    "the start."
)


def image_sizes(analysis: RunAnalysis) -> list[str]:
    """Sizes by image; below, waste and model, and the largest directories, where they are known."""
    run = analysis.run
    header = ("strategy", "compressed", "unpacked", "base shared by all", "the rest", "of the rest, shared")
    shared = images.shared_layers(run)
    rows = []
    for name, result in run.strategies.items():
        image = result.image
        base = sum(layer.unpacked_bytes for layer in shared) if image else None
        sizes = (
            image.compressed_bytes if image else None,
            image.unpacked_bytes if image else None,
            base,
            image.unpacked_bytes - base if image and base is not None else None,
        )
        rows.append([name, *(text.mebibytes(size) for size in sizes), _overlap(images.overlap(run, name))])
    return [*table(header, rows), "", NOTE, *_model(run), *_directories(run)] if rows else [EMPTY]


def _overlap(found: images.Overlap) -> str:
    return f"{text.mebibytes(found.unpacked_bytes)} with {', '.join(found.others)}" if found.others else ""


def _model(run: Run) -> list[str]:
    known = {
        name: image
        for name, image in _images(run).items()
        if image.wasted_bytes is not None or image.model_bytes is not None
    }
    if not known:
        return []
    header = ("strategy", "wasted", "unpacked, without the model", "the model", "unpacked, with the model")
    rows = [
        [
            name,
            text.mebibytes(image.wasted_bytes),
            text.mebibytes(image.unpacked_bytes),
            text.mebibytes(image.model_bytes),
            MISSING
            if image.model_bytes is None
            else text.mebibytes(image.unpacked_bytes + image.model_bytes),
        ]
        for name, image in known.items()
    ]
    return ["", *table(header, rows), "", MORE]


def _directories(run: Run) -> list[str]:
    """The largest directories of each image, side by side, the largest first."""
    known = {name: image.directories for name, image in _images(run).items() if image.directories}
    if not known:
        return []
    ordered = {
        name: sorted(found, key=lambda one: -one.unpacked_bytes)[:LARGEST] for name, found in known.items()
    }
    rows = [
        [
            str(place + 1),
            *(
                f"{found[place].path} {text.mebibytes(found[place].unpacked_bytes)}"
                if place < len(found)
                else ""
                for found in ordered.values()
            ),
        ]
        for place in range(max(map(len, ordered.values())))
    ]
    return [
        "",
        "The largest directories, by package, unpacked:",
        "",
        *table(["", *ordered], rows, len(known) + 1),
    ]


def _images(run: Run) -> dict[str, ImageSize]:
    return {name: result.image for name, result in run.strategies.items() if result.image is not None}
