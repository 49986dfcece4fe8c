"""What a deployment waits for and pulls: starts to the first correct answer, and the sizes of images."""

from collections.abc import Sequence

from bench.analysis import image_overlap as images
from bench.analysis.metrics import STARTUP
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import StrategyStarts, starts
from bench.model import ImageSize, Run
from bench.report import cells, text
from bench.report.document import (
    NOT_MEASURED,
    Block,
    Cell,
    Column,
    Emphasis,
    Table,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
)

STRATEGY = name_column("strategy")
STARTS = paragraph(
    "Seconds since the container's create call, medians over fresh starts; intervals by order statistics."
)
INSIDE = paragraph("Inside the service, as it times its own phases: medians in seconds.")
LARGEST = 10
SIZES = paragraph("The last three are unpacked. What images share, a host pulls and stores once.")
MODEL = paragraph(
    Emphasis("Wasted"),
    " are files that a later layer replaces or removes. The model lies in no layer: it is pulled at "
    "the start.",
)
PYTORCH = {
    "CPU": "its build for CPUs",
    "CUDA": "a build with CUDA's packages, which is gigabytes larger than the build for CPUs; "
    "WHEELS_DIR and TORCH_INDEX choose another",
}
DIRECTORIES = "The largest directories, by package, unpacked"


def startup(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy and state of the model cache; below, the phases that the services time."""
    columns = [STRATEGY, *figures(STARTUP.heading, "starts", "model cache")]
    columns += [Column("medians of the phases, s", sortable=False)]
    every = starts(analysis.run)
    rows = [_start_cells(one) for one in every]
    return [table(columns, rows), STARTS, *_inside(every)] if rows else [NOT_MEASURED]


def _start_cells(start: StrategyStarts) -> list[Cell]:
    strategy, startup = cells.words(start.strategy), start.startup
    if startup is None:
        return [strategy, cells.MISSING, cells.count(0), cells.MISSING, cells.MISSING]
    phases = [
        f"{text.phase_name(phase)} {text.number(moment)}"
        for phase, moment in start.phases_s.items()
        if moment is not None
    ]
    return [
        strategy,
        cells.estimate(start.first_answer_s),
        cells.count(len(startup.first_correct_answer_s)),
        cells.words(startup.model_cache),
        cells.words(", ".join(phases)) if phases else cells.MISSING,
    ]


def _inside(every: Sequence[StrategyStarts]) -> list[Block]:
    known = [one for one in every if one.startup is not None and one.inside_s]
    if not known:
        return []
    phases = list(dict.fromkeys(phase for one in known for phase in one.inside_s))
    rows = [
        [
            cells.words(one.strategy),
            cells.words(one.startup.model_cache if one.startup else ""),
            *(cells.number(one.inside_s.get(phase)) for phase in phases),
            cells.number(one.together_s),
        ]
        for one in known
    ]
    columns = [STRATEGY, case_column("model cache"), *figures(*map(text.phase_name, phases), "together")]
    return [table(columns, rows), INSIDE]


def image_sizes(analysis: RunAnalysis) -> list[Block]:
    """Sizes by image; below, waste and model, and the largest directories, if they are known."""
    run = analysis.run
    columns = figures("compressed", "unpacked", "base shared by all", "the rest", "of the rest, shared")
    rows = [[cells.words(strategy), *_size_cells(run, strategy)] for strategy in run.strategies]
    if not rows:
        return [NOT_MEASURED]
    return [table([STRATEGY, *columns], rows), SIZES, *_pytorch(run), *_model(run), *_directories(run)]


def _pytorch(run: Run) -> list[Block]:
    """Which build of PyTorch the sizes are of: without that they cannot be compared with another run's."""
    return [
        paragraph(f"PyTorch in the images of {', '.join(names)} is {PYTORCH[build]}.")
        for build, names in images.pytorch_builds(run).items()
    ]


def _size_cells(run: Run, strategy: str) -> list[Cell]:
    image = run.strategies[strategy].image
    if image is None:
        return [cells.MISSING] * 4 + [cells.BLANK]
    base = sum(layer.unpacked_bytes for layer in images.shared_layers(run))
    sizes = (image.compressed_bytes, image.unpacked_bytes, base, image.unpacked_bytes - base)
    shared = images.overlap(run, strategy)
    others = f" with {', '.join(shared.others)}"
    overlap = cells.mebibytes(shared.unpacked_bytes, others) if shared.others else cells.BLANK
    return [*map(cells.mebibytes, sizes), overlap]


def _model(run: Run) -> list[Block]:
    rows = []
    for strategy, image in _images(run).items():
        if image.wasted_bytes is not None or image.model_bytes is not None:
            whole = None if image.model_bytes is None else image.unpacked_bytes + image.model_bytes
            sizes = (image.wasted_bytes, image.unpacked_bytes, image.model_bytes, whole)
            rows.append([cells.words(strategy), *map(cells.mebibytes, sizes)])
    columns = figures("wasted", "unpacked, without the model", "the model", "unpacked, with the model")
    return [table([STRATEGY, *columns], rows), MODEL] if rows else []


def _directories(run: Run) -> list[Block]:
    """The largest directories of each image, side by side, the largest first."""
    ordered = {
        strategy: sorted(image.directories, key=lambda one: -one.unpacked_bytes)[:LARGEST]
        for strategy, image in _images(run).items()
        if image.directories
    }
    if not ordered:
        return []
    rows = [
        (
            cells.count(place + 1),
            *(
                cells.words(f"{directories[place].path} {text.mebibytes(directories[place].unpacked_bytes)}")
                if place < len(directories)
                else cells.BLANK
                for directories in ordered.values()
            ),
        )
        for place in range(max(map(len, ordered.values())))
    ]
    columns = (name_column(""), *(Column(strategy, "text") for strategy in ordered))
    return [paragraph(f"{DIRECTORIES}:"), Table(columns, tuple(rows), DIRECTORIES, sortable=False)]


def _images(run: Run) -> dict[str, ImageSize]:
    return {strategy: result.image for strategy, result in run.strategies.items() if result.image is not None}
