"""A reference strategy's answers, each asked of two fresh copies: what must come back."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from bench.errors import BenchError, InvalidRunError, UsageError
from bench.measure.hidden_values import holds_value, without_values
from bench.measure.payloads import make_payload
from bench.model import USUAL_TOLERANCE, Strategy
from bench.model.expectations import LabelExpectation, NoExpectation
from bench.model.how_to_compare import USUAL_K, HowToCompare
from bench.request_sets.blindness import BlindClass, blind_classes
from bench.request_sets.comparators import comparator_of
from bench.request_sets.encodings import encodings_for
from bench.request_sets.recording import Recorded, ReferenceAnswer, places_of, recorded
from bench.request_sets.request_set import SetRequest
from bench.verbs.asking import AskedService, Copies

Answers = Mapping[str, ReferenceAnswer]
# what a distance is -> how it is said
SAID = {
    "probability": "by a probability of {:.2g} at most",
    "tolerance": "by {:.2g} times their tolerance at most",
}
# what is no more than a number's rounding in text
NOTHING = {"probability": 1e-6, "tolerance": 1e-3}


def ask_twice(
    copies: Copies,
    strategy: Strategy,
    requests: Sequence[SetRequest],
    encoding: str | None,
    how: HowToCompare,
) -> dict[str, Recorded]:
    """What must come back for each request, by its name.

    The second copy is asked in the reverse order, so that an answer that follows from what was asked before
    it differs too. Raises UsageError for an encoding that carries no such request, InvalidRunError for an
    answer that is none, or that differs.
    """
    # with what is expected, a request asks for no more outputs than that
    bare = [replace(one, expect=NoExpectation()) for one in requests]
    encodings = {one.name: encoding_of(one, strategy, encoding) for one in bare}
    with copies() as service:
        stated = service.outputs()
        first = _answers(service, strategy, bare, encodings)
    with copies() as service:
        second = _answers(service, strategy, bare[::-1], encodings)
        access = service.access
    places = places_of([*first.values(), *second.values()])
    found = {}
    for name in encodings:
        try:
            answers = first[name], second[name]
            found[name] = recorded(name, answers, stated, how, _tolerance(how), places)
        except BenchError as error:
            raise type(error)(without_values(str(error), access)) from None
        if any(holds_value(text, access) for text in _texts(msgspec.to_builtins(found[name].expect))):
            raise UsageError(
                f"the answer to {name} holds the value of a header or a query, which no manifest may "
                "keep: leave its place out with --ignore, or choose --compare unchecked"
            )
    require_used(how, {comparator_of(one.expect).name for one in found.values()})
    return found


def require_used(how: HowToCompare, ways: Collection[str]) -> None:
    """Raise UsageError if something is said that counts in none of the ways in which answers are compared."""
    said = {
        "--tolerance": (how.tolerance is not None, ("label", "json")),
        "--rtol": (how.rtol is not None, ("tensors",)),
        "--atol": (how.atol is not None, ("tensors",)),
        "--top": (how.k != USUAL_K, ("top-k",)),
        "--ignore": (bool(how.ignore), ("json",)),
    }
    for option, (given, its_ways) in said.items():
        if given and not set(its_ways) & set(ways):
            raise UsageError(
                f"{option} is for --compare {' and '.join(its_ways)}, and answers are compared as "
                f"{' and '.join(sorted(ways))}: leave {option} out, or choose another --compare"
            )


def _texts(value: Any) -> Iterator[str]:
    """All text that lies in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _texts(pair)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def blind(
    requests: Sequence[SetRequest],
    strategy: Strategy,
    encoding: str | None,
    how: HowToCompare,
    found: Mapping[str, Recorded],
) -> tuple[BlindClass, ...]:
    """The classes of the requests in which what is recorded tells no answers apart."""
    sent = [
        make_payload(one, encoding_of(one, strategy, encoding), strategy.model)
        for one in (replace(one, expect=NoExpectation()) for one in requests)
    ]
    told = [replace(one, expect=found[one.name].expect) for one in sent]
    return blind_classes(told, _tolerance(how))


def _tolerance(how: HowToCompare) -> float:
    return USUAL_TOLERANCE if how.tolerance is None else how.tolerance


def encoding_of(request: SetRequest, strategy: Strategy, asked: str | None) -> str:
    """The encoding that is asked for, or the strategy's first that can carry the request.

    Raises UsageError if there is none.
    """
    if asked is not None and asked not in strategy.encodings:
        raise UsageError(
            f"{strategy.name} takes {', '.join(strategy.encodings)}, not {asked}: choose another --encoding"
        )
    able = encodings_for(request, strategy.encodings if asked is None else (asked,))
    if not able:
        raise UsageError(
            f"{asked or ', '.join(strategy.encodings)} cannot carry the request {request.name}: choose "
            "another --encoding, or another --strategy"
        )
    return able[0]


def _answers(
    service: AskedService, strategy: Strategy, requests: Sequence[SetRequest], encodings: Mapping[str, str]
) -> Answers:
    found, refused = {}, []
    for request in requests:
        payload = make_payload(request, encodings[request.name], strategy.model)
        status, body = service.answer(payload, strategy.path)
        if not 200 <= status < 300:
            refused.append((request.name, status, service.beginning(body)))
        found[request.name] = ReferenceAnswer(body, payload.reply)
    if refused:
        name, status, said = refused[0]
        raise InvalidRunError(
            f"{service.name} answers {name} with status {status} ({said}), {len(refused)} of {len(requests)} "
            "requests are refused: repair them, or record another strategy"
        )
    return found


def told(found: Collection[Recorded]) -> str:
    """One clause: how many answers are compared in which way, and how far two of them were apart."""
    ways = Counter(comparator_of(one.expect).name for one in found)
    counted = ", ".join(f"{count} {way}" for way, count in ways.items())
    if unsure := sum(isinstance(one.expect, LabelExpectation) and bool(one.expect.near) for one in found):
        counted += f", {unsure} of them with other labels that are nearly as probable and right too"
    apart: dict[str, float] = {}
    for one in found:
        measure = comparator_of(one.expect).measure
        if measure is not None and one.off and one.off > NOTHING[measure]:
            apart[measure] = max(apart.get(measure, 0.0), one.off)
    said = [SAID[measure].format(most) for measure, most in apart.items()]
    if said:
        counted += f"; two answers to a request differ {' and '.join(said)}"
    return f"what must come back for {len(found)} requests is recorded ({counted})"
