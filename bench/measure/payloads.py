"""The requests of a set as payloads: in an encoding, with a path, and with what must come back."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from bench.errors import UsageError
from bench.model import Payload, Strategy
from bench.model.subjects import MIX
from bench.request_sets.comparators import comparator_of
from bench.request_sets.encodings import ENCODINGS, TENSOR_ENCODINGS, encode, encodings_for, known
from bench.request_sets.request_set import AS_IS, SetRequest, classes_of

COPY_MARK = b"bench copy "
MOST_COPY_BYTES = 64 * 1024 * 1024
OWN_PATH = ""
"""In place of a model's name: requests go to the address of the service, which names the model itself."""


def fitting_encodings(request: SetRequest, encodings: Sequence[str]) -> tuple[str, ...]:
    """Those of the encodings that carry the request and bring back what its expectation compares."""
    forms = comparator_of(request.expect).forms
    return tuple(one for one in encodings_for(request, encodings) if ENCODINGS[one].reply in forms)


def make_payload(request: SetRequest, encoding: str, model: str | None = None) -> Payload:
    """The request as it is sent.

    Raises UsageError if the encoding is unknown, cannot carry it, brings back nothing that can be compared,
    or needs a model's name.
    """
    if encoding != AS_IS:
        known((encoding,))
    body, chosen, comparator = encode(request, encoding), ENCODINGS[encoding], comparator_of(request.expect)
    if chosen.reply not in comparator.forms:
        can = ", ".join(fitting_encodings(request, TENSOR_ENCODINGS))
        raise UsageError(
            f"{request.name}: {comparator.name} cannot compare the answers to {encoding}: "
            f"choose --encoding {can}"
        )
    path = request.path or chosen.path
    if path is not None and request.path is None and chosen.names_model:
        if model is None:
            raise UsageError(f"{encoding} names the model in its path: label the strategy with bench.model")
        path = None if model == OWN_PATH else path.format(model=quote(model, safe=""))
    return Payload(
        name=request.name,
        payload_class=request.request_class,
        encoding=encoding,
        content_type=body.content_type,
        body=body.body,
        expect=request.expect,
        path=path,
        headers={**request.headers, **body.headers},
        reply=chosen.reply,
        method=request.method,
        weight=request.weight,
    )


def payload_sets(
    requests: Iterable[SetRequest],
    classes: Iterable[str],
    encodings: Iterable[str],
    model: str | None = None,
) -> dict[tuple[str, str], tuple[Payload, ...]]:
    """The payloads of each class in each encoding, classes first.

    A class of bodies that are sent as they are has the one encoding `as-is`. `model` is its name in the paths
    that have one: see `common_model`. Raises UsageError for a class of which the set has no request, for one
    that has both kinds of bodies, and for an encoding that is unknown or does not fit a request.
    """
    requests, encodings = tuple(requests), known(encodings)
    chosen = {}
    for name in classes:
        of_class = [one for one in requests if one.request_class == name]
        if not of_class:
            raise UsageError(f"no request of class {name}: the set has {', '.join(classes_of(requests))}")
        for encoding in class_encodings(of_class, encodings):
            chosen[name, encoding] = tuple(make_payload(one, encoding, model) for one in of_class)
    return chosen


def mixed(
    sets: Mapping[tuple[str, str], Sequence[Payload]], mix: Sequence[tuple[str, float]]
) -> dict[tuple[str, str], tuple[Payload, ...]]:
    """The sets of these classes as one class, MIX, in each encoding: so many requests of each as its weight.

    Within a class the requests keep their weights. Raises UsageError if the classes have other encodings.
    """
    encodings = {name: [encoding for one, encoding in sets if one == name] for name, _ in mix}
    if len({tuple(names) for names in encodings.values()}) > 1:
        told = ", ".join(f"{name} {' and '.join(names)}" for name, names in encodings.items())
        raise UsageError(f"--mix needs one encoding for all its classes, and there are {told}: mix others")
    together = {}
    for encoding in next(iter(encodings.values()), []):
        parts = [_weighted(sets[name, encoding], weight) for name, weight in mix]
        together[MIX, encoding] = tuple(payload for part in parts for payload in part)
    return together


def _weighted(payloads: Sequence[Payload], weight: float) -> list[Payload]:
    """A class's payloads as a part of the mix, whose weights sum up to this weight."""
    whole = math.fsum(one.weight for one in payloads)
    return [
        replace(one, payload_class=MIX, mixed_from=one.payload_class, weight=weight * one.weight / whole)
        for one in payloads
    ]


def class_encodings(of_class: Sequence[SetRequest], encodings: Sequence[str]) -> tuple[str, ...]:
    """The encodings in which the requests of one class are sent; raises UsageError if these differ."""
    as_they_are = [encodings_for(one, encodings) == (AS_IS,) for one in of_class]
    if all(as_they_are):
        return (AS_IS,)
    if any(as_they_are):
        raise UsageError(
            f"class {of_class[0].request_class} has bodies that are sent as they are beside tensors: "
            "give each kind a class of its own in the manifest"
        )
    return tuple(encodings)


def common_model(strategies: Iterable[Strategy], encodings: Iterable[str]) -> str | None:
    """The model's name in the paths of these encodings; None if their paths do not name it.

    Payloads are made once for all strategies: raises UsageError if the strategies' models differ.
    """
    naming = [encoding for encoding in known(encodings) if ENCODINGS[encoding].names_model]
    if not naming:
        return None
    models = {strategy.model: strategy.name for strategy in strategies}
    if OWN_PATH in models and len(models) > 1:
        raise UsageError(
            f"{', '.join(naming)}: the address of {models[OWN_PATH]} has more than the model's name, as a "
            "version, which strategies of compose.yaml are not sent: leave out --strategies, or that"
        )
    if len(models) > 1:
        several = ", ".join(f"{model} ({name})" for model, name in models.items())
        raise UsageError(
            f"{', '.join(naming)}: the path names the model, and the strategies have several, {several}: "
            "choose strategies of one model (label bench.model), or another --encoding"
        )
    return next(iter(models), None)


def varied_copies(
    requests: Sequence[SetRequest],
    encoding: str,
    count: int,
    model: str | None = None,
    most_bytes: int = MOST_COPY_BYTES,
) -> tuple[Payload, ...]:
    """Copies of the requests in turn, no two with the same body, each with the answer of its original.

    Only pictures can be varied: what is added stands after the picture's end, where no decoder reads, and the
    pixels are the same. No copy comes more often than another. There are `count` copies, or fewer if their
    bodies would exceed `most_bytes` together, and none if a request is no picture.
    """
    pictures = [one.picture for one in requests]
    copies: list[Payload] = []
    left_bytes = most_bytes
    for number in range(count if pictures and None not in pictures else 0):
        request, picture = requests[number % len(requests)], pictures[number % len(requests)] or b""
        # of the same length for all, so that no two pictures with it can be alike
        content = picture + COPY_MARK + b"%012d" % number
        copy = make_payload(replace(request.with_picture(content), weight=1.0), encoding, model)
        left_bytes -= len(copy.body)
        if left_bytes < 0:
            break
        copies.append(copy)
    return tuple(copies)
