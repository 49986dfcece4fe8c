"""The command line: python -m modelkit VERB."""

import argparse
import os
import sys
from pathlib import Path

from modelkit import ModelkitError, ModelkitUsageError

_EVALUATION_PICTURE = Path("docs/pictures/confusion.png")


def _parser() -> argparse.ArgumentParser:
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
    export = verbs.add_parser("export", help="write the ONNX graph and check it against the reference")
    _add_checked(export)
    export.add_argument("--output", type=Path, required=True, metavar="PATH.onnx")
    publish = verbs.add_parser("publish", help="optimise the graph for this host, check it, upload the model")
    _add_checked(publish)
    publish.add_argument(
        "--graph", type=Path, required=True, help="exported graph; created if it does not exist"
    )
    publish.add_argument("--to", default=os.environ.get("MODEL_DESTINATION"), metavar="gs://BUCKET/PREFIX")
    clock = verbs.add_parser("time-transform", help="time candidates for the transform in the graph")
    clock.add_argument("--seconds", type=float, default=2.0, help="how long each candidate runs")
    return parser


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


def _train(options: argparse.Namespace) -> None:
    # threads that spin while they wait starve each other if they share cores; torch reads this when imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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


def _export(options: argparse.Namespace) -> None:
    from modelkit.export import export

    export(options.model_dir, options.images, options.output)


def _publish(options: argparse.Namespace) -> None:
    from modelkit.publish import publish

    if not options.to:
        raise ModelkitUsageError("no destination: give --to gs://BUCKET/PREFIX or set MODEL_DESTINATION")
    publish(options.model_dir, options.images, options.graph, options.to)


def _time_transform(options: argparse.Namespace) -> None:
    from modelkit.time_transform import time_transform

    time_transform(options.seconds)


_VERBS = {
    "train": _train,
    "evaluate": _evaluate,
    "images": _images,
    "export": _export,
    "publish": _publish,
    "time-transform": _time_transform,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, 1 for a failure, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    try:
        _VERBS[options.verb](options)
    except ModelkitError as error:
        print(f"modelkit {options.verb}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
