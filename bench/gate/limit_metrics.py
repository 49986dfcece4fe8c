"""What rules may name: figures that vary and are compared, and figures that are counted and only bounded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from bench.analysis.image_overlap import leading_layers
from bench.analysis.metrics import Metric, metrics_in
from bench.gate.values import Batch, Sides
from bench.model import ImageSize, ParityResult, Run, Trial
from bench.model.subjects import MIX

Images = Mapping[str, ImageSize]


def own_alone(run: Run, name: str) -> float | None:
    """The bytes beyond the layers with which all images on the same first layer begin.

    The other images are those of the same side of the run as `name`. None if the strategy has no image, or
    if no other image shows which of its layers are the base.
    """
    images = _beside(run, name)
    count = _shared(images)
    return None if count is None else _beyond(images[name], count)


def own_against(batch: Batch, name: str) -> Sides:
    """The own parts of both images, divided so that a change of an own part shows in their difference.

    If no other image of either side shows what the base image is, both parts are the whole image.
    """
    theirs = batch.name_in_base(name)
    base, head = _beside(batch.base, theirs), _beside(batch.head, name)
    ours, before = head.get(name), base.get(theirs)
    if ours is None or before is None:
        return Sides(_whole(before), _whole(ours))
    of_base, of_head = _shared(base), _shared(head)
    if of_base is None or of_head is None:
        return Sides(_whole(before), _whole(ours))
    pairs = zip(before.layers, ours.layers, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0].digest == pair[1].digest, pairs))
    if same or base.keys() != {batch.name_in_base(one) for one in head}:
        # what some images share may be packages: what differs behind a base that is the same is no base
        of_base = of_head = min(of_base, of_head, same or of_base)
    return Sides(_beyond(before, of_base), _beyond(ours, of_head))


def _beside(run: Run, name: str) -> Images:
    """The images of one side that begin with the same layer as that of `name`, which is among them."""
    own = run.strategies.get(name)
    images = {
        one: result.image
        for one, result in run.strategies.items()
        if own is not None and result.image is not None and result.is_base == own.is_base
    }
    first = _first(images.get(name))
    return {one: image for one, image in images.items() if one == name or (first and _first(image) == first)}


def _first(image: ImageSize | None) -> str:
    return image.layers[0].digest if image and image.layers else ""


def _shared(images: Images) -> int | None:
    """With how many equal layers the images begin; None if there are fewer than two images."""
    return len(leading_layers(list(images.values()))) if len(images) > 1 else None


def _beyond(image: ImageSize, count: int) -> float:
    return image.unpacked_bytes - sum(layer.unpacked_bytes for layer in image.layers[:count])


def _whole(image: ImageSize | None) -> float | None:
    return None if image is None else image.unpacked_bytes


Unit = Literal["bytes", "count", "share"]


@dataclass(frozen=True, slots=True)
class LimitMetric:
    """A figure of one strategy that is bounded as it is: `of(run, its name, its trials)`.

    `increases` says whether it may be bounded against base; `against(batch, its name)` gives the figures to
    compare if both sides are needed to know them. `unknown` says why `{who}` may lack it, a size although it
    has an image. `of_trials` says whether it is counted in the trials.
    """

    name: str
    label: str
    unit: Unit
    increases: bool
    of: Callable[[Run, str, Sequence[Trial]], float | None]
    unknown: str = ""
    against: Callable[[Batch, str], Sides] | None = None
    of_trials: bool = False


def image_unpacked_bytes(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """The bytes of the image's layers; None if there is no image."""
    result = run.strategies.get(name)
    return result.image.unpacked_bytes if result and result.image else None


def image_own_bytes(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """The bytes of the image beyond its base; None if the base is not known."""
    return own_alone(run, name)


def image_compressed_bytes(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """What a pull moves; None if there is no image or its store does not say."""
    result = run.strategies.get(name)
    return result.image.compressed_bytes if result and result.image else None


def wrong_answers(run: Run, name: str, trials: Sequence[Trial]) -> float | None:
    """Wrong answers in all trials, invalid ones and warm-ups too; None if no answer could be found wrong.

    If the answers before the rounds were wrong, so that nothing was timed, it is the number of those.
    """
    parity = wrong_parity(run, name)
    if parity is not None:
        return parity.wrong
    compared = compared_trials(run, trials)
    if not checked(compared):
        return None
    return sum(trial.wrong_answers + (trial.wrong_answers_outside or 0) for trial in compared)


def compared_trials(run: Run, trials: Sequence[Trial]) -> list[Trial]:
    """The trials of which at least one request has an answer that is compared with what is right."""
    settings = run.environment.settings
    if not settings or not isinstance(settings.unchecked, Mapping):
        return list(trials)
    sent = settings.payloads if isinstance(settings.payloads, Mapping) else {}
    # a mix has the requests of all classes
    unchecked = {MIX: sum(settings.unchecked.values()), **settings.unchecked}
    return [
        one
        for one in trials
        if not unchecked.get(one.payload_class)
        or unchecked[one.payload_class] < len(sent.get(one.payload_class, ()))
    ]


def wrong_parity(run: Run, name: str) -> ParityResult | None:
    """The answers before the rounds if they are why nothing of the strategy was timed; else None."""
    result = run.strategies.get(name)
    failed = result is not None and result.failure is not None and result.failure.code == "wrong_answers"
    return result.parity if result is not None and failed else None


def error_rate(_run: Run, _name: str, trials: Sequence[Trial]) -> float | None:
    """The share of failed requests over all trials; None if no request was made."""
    requests = sum(trial.requests for trial in trials)
    return sum(trial.errors for trial in trials) / requests if requests else None


NOT_ASKED = "{who} was not asked the held-out set"
NO_ACCURACY = f"{NOT_ASKED}, or no true class of its pictures is known"


def disagreement(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """The share of the held-out set that it gave another label than the reference; None without any."""
    result = run.strategies.get(name)
    found = result.held_out if result else None
    # not 1 less the agreement, which is a little above 1% for 20 of 2 000
    return (found.answers - found.same_label) / found.answers if found else None


def accuracy_loss(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """By how much it is less accurate on the held-out set than the reference; None if nobody knows."""
    result = run.strategies.get(name)
    return result.held_out.loss if result and result.held_out else None


def held_out_pictures(run: Run, name: str) -> int:
    """How many pictures of the held-out set a strategy was asked."""
    result = run.strategies.get(name)
    return result.held_out.answers if result and result.held_out else 0


def checked(trials: Sequence[Trial]) -> int:
    """How many answers were compared with the expected one, at least: right ones count in windows alone."""
    return sum(trial.ok + trial.wrong_answers for trial in trials)


def complete(trials: Sequence[Trial]) -> bool:
    """Whether every trial made requests and came to its end."""
    return bool(trials) and all(trial.error is None and trial.requests > 0 for trial in trials)


def primary_metrics() -> dict[str, Metric]:
    """The metrics that a [[primary]] rule may name."""
    return {metric.name: metric for metric in metrics_in("gate rules")}


LIMITS: dict[str, LimitMetric] = {
    metric.name: metric
    for metric in (
        LimitMetric("image_unpacked_bytes", "unpacked image", "bytes", True, image_unpacked_bytes),
        LimitMetric(
            "image_own_bytes",
            "own part of the image",
            "bytes",
            True,
            image_own_bytes,
            "no other image of {who} begins with the same layer, which would tell what is its own",
            own_against,
        ),
        LimitMetric(
            "image_compressed_bytes",
            "compressed image",
            "bytes",
            True,
            image_compressed_bytes,
            "what a pull of {who}'s image moves is not known",
        ),
        LimitMetric("wrong_answers", "wrong answers", "count", False, wrong_answers, of_trials=True),
        LimitMetric("error_rate", "failed requests", "share", False, error_rate, of_trials=True),
        LimitMetric("disagreement", "labels unlike the reference's", "share", False, disagreement, NOT_ASKED),
        LimitMetric("accuracy_loss", "loss of accuracy", "share", False, accuracy_loss, NO_ACCURACY),
    )
}
