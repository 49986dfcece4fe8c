"""The command line: python -m modelkit VERB."""

import argparse
import math
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelkit import ModelkitError, ModelkitUsageError

if TYPE_CHECKING:
    from modelkit.add_images import ImageOptions

_EVALUATION_PICTURE = Path("docs/pictures/confusion.png")
_NO_PLACE = "no destination: give --to FOLDER or gs://BUCKET/PREFIX, or set MODEL_DESTINATION"
# some divide pixels of 0 to 1 by 2, but a deviation on a scale of 255 is larger
_MOST_DEVIATION = 4
_PLACE = "a folder, file:///FOLDER or gs://BUCKET/PREFIX"


def build_parser() -> argparse.ArgumentParser:
    """The verbs and their arguments."""
    parser = argparse.ArgumentParser(prog="python -m modelkit", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    train = verbs.add_parser("train", help="train on generated scenes, or on a folder of photographs")
    _add_source(train)
    train.add_argument("--epochs", type=_positive, default=16)
    train.add_argument("--out", type=Path, default=Path("model"), help="folder for weights and manifest")
    train.add_argument("--init", type=Path, help="weights (.safetensors) to start from")
    train.add_argument(
        "--freeze-backbone", action="store_true", help="with --init: train only the classifier"
    )
    judge = verbs.add_parser("evaluate", help="accuracy, weighted F1, table and confusion matrix")
    _add_source(judge)
    judge.add_argument("--model-dir", type=Path, default=Path("model"))
    judge.add_argument("--picture", type=Path, default=_EVALUATION_PICTURE)
    images = verbs.add_parser("images", help="make the image set and the answers expected for it")
    images.add_argument("--model-dir", type=Path, default=Path("model"))
    images.add_argument("--out", type=Path, default=Path("images"))
    held_out = verbs.add_parser(
        "held-out", help="make the held-out set: new scenes, the reference's answers and the true classes"
    )
    held_out.add_argument("--model-dir", type=Path, default=Path("model"))
    held_out.add_argument("--out", type=Path, default=Path("images/held_out"))
    held_out.add_argument("--small", type=_not_negative_count, default=1900, help="pictures of 288x216")
    held_out.add_argument("--large", type=_not_negative_count, default=100, help="pictures of 1200x800")
    export = verbs.add_parser("export", help="write the ONNX graph and check it against the reference")
    _add_checked(export)
    export.add_argument("--output", type=Path, required=True, metavar="PATH.onnx")
    publish = verbs.add_parser("publish", help="optimise the graph for this host, check it, upload the model")
    _add_checked(publish)
    publish.add_argument(
        "--graph",
        type=Path,
        help="exported graph, created if it does not exist; by default it is exported anew",
    )
    publish.add_argument("--to", default=os.environ.get("MODEL_DESTINATION"), metavar="PLACE", help=_PLACE)
    compiled = verbs.add_parser(
        "compile", help="compile the network for this kind of processor, check it, upload it"
    )
    _add_checked(compiled)
    compiled.add_argument("--to", default=os.environ.get("MODEL_DESTINATION"), metavar="PLACE", help=_PLACE)
    _declare_add(
        verbs.add_parser("add", help="take a model of your own in: check it, make its forms, publish it")
    )
    clock = verbs.add_parser("time-transform", help="time candidates for the transform in the graph")
    clock.add_argument("--seconds", type=float, default=2.0, help="how long each candidate runs")
    return parser


def _declare_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="an ONNX graph, a .pt2 program or .safetensors"
    )
    parser.add_argument("--name", required=True, help="the model's name, a part of its address")
    parser.add_argument("--version", default="1")
    parser.add_argument("--to", default=os.environ.get("MODEL_DESTINATION"), metavar="PLACE", help=_PLACE)
    parser.add_argument("--kind", choices=("tensors", "image"), default="tensors")
    images = parser.add_argument_group(
        "--kind image", "a classifier of images; its graph gets their transform: resize, crop, normalise"
    )
    images.add_argument("--labels", type=Path, metavar="FILE", help="a line for each class, or a JSON list")
    images.add_argument(
        "--resize", type=_positive, metavar="N", help="the shortest side; default: crop * 8 / 7"
    )
    images.add_argument("--crop", type=_positive, metavar="N", help="default: what the network takes, or 224")
    images.add_argument(
        "--mean", type=_mean, metavar="A,B,C", help="default: ImageNet's, on a scale of 0 to 1"
    )
    images.add_argument("--std", type=_deviation, metavar="A,B,C", help="as --mean")
    images.add_argument("--interpolation", choices=("bilinear", "bicubic"), default="bilinear")
    images.add_argument("--logit-tolerance", type=_positive_number, default=0.05, help="of the whole graph")
    networks = parser.add_argument_group("models of PyTorch", "the ONNX graph is made from them")
    networks.add_argument(
        "--architecture", metavar="MODULE:FACTORY", help="what makes the network for .safetensors"
    )
    networks.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME:DATATYPE[SIZES]",
        help="an input for .safetensors, as tokens:INT64[-1,-1]: the batch in front, -1 for what varies",
    )
    networks.add_argument("--output-names", metavar="A,B", help="default: output, or output_0, output_1, ...")
    checks = parser.add_argument_group("checks", "every form of the model is compared with FILE on examples")
    checks.add_argument(
        "--example", type=Path, metavar="FILE.npz", help="an array for each input, batch in front"
    )
    checks.add_argument("--seed", type=_seed, default=1, help="examples are drawn from it")
    checks.add_argument(
        "--rtol", type=_not_negative, default=1e-3, help="a difference of atol + rtol * |value|"
    )
    checks.add_argument(
        "--atol",
        type=_not_negative,
        help="... is allowed; default: 0.0001, or this share of the largest value if that is below 1",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--photos", type=Path, help="a folder with sub-folders by class; default: generated scenes"
    )
    parser.add_argument("--per-class", type=_positive, default=600, help="scenes generated for each class")
    parser.add_argument("--seed", type=int, default=42)


def _add_checked(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model-dir", type=Path, default=Path("model"))
    parser.add_argument("--images", type=Path, default=Path("images"))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value


def _not_negative_count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is not a number of pictures: give 0 or more")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is not a seed: give 0 or more")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{value} is not a tolerance")
    return value


def _positive_number(text: str) -> float:
    value = _not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is not a tolerance that a service takes")
    return value


def _three(text: str) -> tuple[float, float, float]:
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) != 3 or not all(math.isfinite(part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text} is not three numbers with commas between")
    return parts[0], parts[1], parts[2]


def _mean(text: str) -> tuple[float, float, float]:
    three = _three(text)
    if max(three) > 1:
        raise argparse.ArgumentTypeError(f"{text} is not on a scale of 0 to 1: divide it by 255")
    return three


def _deviation(text: str) -> tuple[float, float, float]:
    three = _three(text)
    if min(three) <= 0:
        raise argparse.ArgumentTypeError(f"{text} has a deviation that is not positive")
    if max(three) > _MOST_DEVIATION:
        raise argparse.ArgumentTypeError(f"{text} is not on a scale of 0 to 1: divide it by 255")
    return three


def _train(options: argparse.Namespace) -> None:
    from modelkit.train import PictureSource, Recipe, train

    if options.freeze_backbone and options.init is None:
        raise ModelkitUsageError("--freeze-backbone needs --init: a random backbone is not worth keeping")
    source = PictureSource(options.photos, options.per_class, options.seed)
    recipe = Recipe(epochs=options.epochs, freeze_backbone=options.freeze_backbone)
    train(source, recipe, options.init, options.out)


def _evaluate(options: argparse.Namespace) -> None:
    from modelkit.evaluate import draw_confusion, judge
    from modelkit.manifest import WEIGHTS_FILE
    from modelkit.reference import load_network
    from modelkit.train import PictureSource

    network = load_network(options.model_dir / WEIGHTS_FILE)
    splits = PictureSource(options.photos, options.per_class, options.seed).load()
    scores = judge(network, splits.test)
    print(scores.table())
    what = "Synthetic test split" if options.photos is None else "Photographs' test split"
    draw_confusion(scores, options.picture, what)
    print(f"confusion matrix: {options.picture}")


def _images(options: argparse.Namespace) -> None:
    from modelkit.image_set import make_image_set

    make_image_set(options.model_dir, options.out)


def _held_out(options: argparse.Namespace) -> None:
    from modelkit.held_out import make_held_out

    if not options.small + options.large:
        raise ModelkitUsageError("a set of no pictures proves nothing: give --small or --large more than 0")
    make_held_out(options.model_dir, options.out, options.small, options.large)


def _export(options: argparse.Namespace) -> None:
    from modelkit.export import export

    export(options.model_dir, options.images, options.output)


def _publish(options: argparse.Namespace) -> None:
    from modelkit.publish import publish

    if not options.to:
        raise ModelkitUsageError(_NO_PLACE)
    publish(options.model_dir, options.images, options.graph, options.to)


def _compile(options: argparse.Namespace) -> None:
    from modelkit.publish_compiled import publish_compiled

    if not options.to:
        raise ModelkitUsageError(_NO_PLACE)
    publish_compiled(options.model_dir, options.images, options.to)


def _add(options: argparse.Namespace) -> None:
    from modelkit.add import Checks, Publication, Publish, add_tensors, take_in
    from modelkit.destination import Destination
    from modelkit.forms import Tolerance
    from modelkit.intakes import TorchOptions, read_file

    if not options.to:
        raise ModelkitUsageError(_NO_PLACE)
    publication = Publication(options.name, options.version, Destination.parse(options.to))
    checks = Checks(Tolerance(options.rtol, options.atol), options.seed, options.example)
    names = tuple(name.strip() for name in options.output_names.split(",")) if options.output_names else ()
    publish: Publish = add_tensors
    usual = None
    if options.kind == "image":
        from modelkit.add_images import add_image, image_port

        if options.labels is None:
            raise ModelkitUsageError("--kind image needs the classes' names: give --labels FILE, a line each")
        if options.example is not None:
            raise ModelkitUsageError("--example is for --kind tensors, as images are drawn: leave it out")
        publish, usual = partial(add_image, _image_options(options)), image_port(options.crop)
    torch_options = TorchOptions(options.architecture, tuple(options.input), names, usual)
    take_in(options.file, publication, checks, partial(read_file, options=torch_options), publish)


def _image_options(options: argparse.Namespace) -> "ImageOptions":
    from modelkit.add_images import ImageOptions
    from modelkit.intakes import read_labels
    from modelkit.manifest import Transform

    usual = Transform()
    return ImageOptions(
        read_labels(options.labels),
        options.resize,
        options.crop,
        options.mean or usual.mean,
        options.std or usual.std,
        options.interpolation,
        options.logit_tolerance,
    )


def _time_transform(options: argparse.Namespace) -> None:
    from modelkit.time_transform import time_transform

    time_transform(options.seconds)


_VERBS = {
    "train": _train,
    "evaluate": _evaluate,
    "images": _images,
    "held-out": _held_out,
    "export": _export,
    "publish": _publish,
    "compile": _compile,
    "add": _add,
    "time-transform": _time_transform,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, 1 for a failure, 2 for a wrong command line."""
    options = build_parser().parse_args(arguments)
    # threads that spin while they wait starve each other if they share cores; torch reads this when imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _VERBS[options.verb](options)
    except ModelkitError as error:
        print(f"modelkit {options.verb}: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or __package__).partition(".")[0]
        if package == __package__:
            raise
        # of a checkout no distribution is installed, and an index would give another one of this name
        is_checkout = (Path(__file__).parents[1] / "pyproject.toml").is_file()
        what = "." if is_checkout else "model-serving-bench"
        print(
            f"modelkit {options.verb}: the package {package} is missing: "
            f"install what modelkit needs, pip install '{what}[modelkit]'",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
