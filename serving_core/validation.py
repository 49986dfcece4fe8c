"""Trying each configured model and its handler before they serve: python -m onnx_serving validate.

Each check raises Wrong, in words that end in what would be right.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TextIO

import numpy as np

from serving_core import sample_requests
from serving_core.calls import Item, Outputs, Parse, Signature
from serving_core.codecs import encodings, oip
from serving_core.engine import Engine
from serving_core.errors import RequestError, StartError
from serving_core.handler import Handler
from serving_core.loading import Loaded, load_models, signature_of, told
from serving_core.metrics import Metrics
from serving_core.settings import Settings
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

THREADS = 4
ROUNDS = 8
# A batch may be summed in another order than an item alone.
TOLERANCE = 1e-3
# the kinds of NumPy types for which Python's own numbers are sent as well
PLAIN: dict[str, tuple[type, ...]] = {"f": (float, int), "i": (int,), "b": (bool,)}


class Wrong(Exception):  # noqa: N818 - what a check finds, not a fault of its own
    """A handler does not keep to the contract; the message ends in what would be right."""


class Unknown(Exception):  # noqa: N818 - no fault of anybody's
    """A check could not have found the fault that it looks for; the message ends in what would let it."""


@dataclass
class ModelUnderTest:
    """A loaded model, how many items it must take at once, and what it made of each alone."""

    signature: Signature
    handler: Handler
    max_batch: int
    max_pixels: int

    @cached_property
    def items(self) -> list[Item]:
        """The example and what differs from it, as far as the handler takes it."""
        varied = sample_requests.variants(self.handler.example(), self.handler.inputs, self.max_pixels)
        return [varied[0], *(item for item in varied[1:] if self._takes(item))]

    @cached_property
    def alone(self) -> list[Outputs]:
        """What each item gives alone."""
        return [self.compute(item) for item in self.items]

    @cached_property
    def telling(self) -> list[int]:
        """The items that each give something of their own; all of them where none does."""
        found: list[int] = []
        for number, outputs in enumerate(self.alone):
            if not any(same(self.alone[other], outputs) for other in found):
                found.append(number)
        return found if len(found) > 1 else [*range(len(self.items))]

    def order(self, count: int) -> list[int]:
        """Return which items to try together: telling ones in turn, and another last than first."""
        order = [self.telling[place % len(self.telling)] for place in range(count)]
        if count > 1 and order[-1] == order[0]:  # else two in turn may be the same from behind
            order[-1] = self.telling[-1]
        return order

    def check_telling(self) -> None:
        """Raise Unknown where one item's outputs in place of another's would not show."""
        if all(same(self.alone[0], outputs) for outputs in self.alone):
            raise Unknown(
                "all that is like the example gives the same: give an example whose neighbours differ"
            )

    def compute(self, item: Item) -> Outputs:
        """Return one item's outputs; raises Wrong where `predict` gives no one result."""
        handler = self.handler
        results = handler.predict([handler.preprocess(handler.decode(item))])
        check_count(results, 1)
        return handler.postprocess(results[0])

    def _takes(self, item: Item) -> bool:
        try:
            self.compute(item)
        except RequestError:
            return False
        except Wrong:
            raise
        except (Exception, SystemExit) as error:
            raise Wrong(
                f"an item like the example {told(error)}: serve it, or raise RequestError(422, ...)"
            ) from error
        return True


def check_count(results: Sequence[Any], count: int) -> None:
    """Raise Wrong unless there are as many results as items."""
    if len(results) != count:
        raise Wrong(f"predict gives {len(results)} results for {count} items: give one for each, in order")


def check_example(trial: ModelUnderTest) -> None:
    """Raise Wrong unless the example has what the inputs say."""
    check_values("example", trial.handler.example(), trial.handler.inputs, (bytes,))


def check_alone(trial: ModelUnderTest) -> None:
    """Raise Wrong unless one item's outputs are as declared."""
    for outputs in trial.alone:
        check_values("postprocess", outputs, trial.handler.outputs, (bytes, str))


def check_values(source: str, values: Any, specs: Sequence[TensorSpec], texts: tuple[type, ...]) -> None:
    """Raise Wrong unless `values` are exactly those of the specs: names, datatypes, shapes, and finite.

    `texts` are the types that BYTES may have; where str is one, numbers may be Python's own as well.
    """
    names = [spec.name for spec in specs]
    if not isinstance(values, Mapping) or set(values) != set(names):
        given = sorted(values) if isinstance(values, Mapping) else type(values).__name__
        raise Wrong(f"{source} gives {given}: give a mapping with {names}")
    for spec in specs:
        value = values[spec.name]
        if spec.datatype == BYTES:
            if not isinstance(value, texts):
                expected = " or ".join(text.__name__ for text in texts)
                raise Wrong(f"{source} gives {spec.name} as {type(value).__name__}: give {expected}")
            continue
        _check_numbers(source, value, spec, str in texts)


def _check_numbers(source: str, value: Any, spec: TensorSpec, plain: bool) -> None:
    wanted = NUMERIC[spec.datatype]
    if isinstance(value, np.ndarray | np.generic):
        # any float will do for a float: it is written as the one declared
        fits = value.dtype == wanted or (value.dtype.kind, wanted.kind) == ("f", "f")
    else:
        fits = plain and type(value) in PLAIN.get(wanted.kind, ())
    if not fits:
        given = getattr(value, "dtype", type(value).__name__)
        raise Wrong(f"{source} gives {spec.name} as {given}: give NumPy's {wanted} for {spec.datatype}")
    shape = np.shape(value)
    fits = len(shape) == len(spec.shape) and all(
        size in (-1, actual) for size, actual in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise Wrong(f"{source} gives {spec.name} in shape {shape}: give {spec.shape}, as declared")
    if wanted.kind == "f" and not np.isfinite(value).all():
        raise Wrong(f"{source} gives {spec.name} with values that are not finite: give finite ones")


def same(expected: Outputs, found: Outputs) -> bool:
    """Tell whether two items' outputs are the same, but for rounding."""
    return expected.keys() == found.keys() and all(_alike(expected[name], found[name]) for name in expected)


def _alike(expected: Any, found: Any) -> bool:
    if isinstance(expected, str | bytes):
        return bool(expected == found)
    if np.shape(expected) != np.shape(found):
        return False
    if np.asarray(expected).dtype.kind == "f":
        return np.allclose(expected, found, TOLERANCE, TOLERANCE)
    return np.array_equal(expected, found)


def check_same(where: str, expected: Outputs, found: Outputs) -> None:
    """Raise Wrong unless an item's outputs are, but for rounding, what they are alone."""
    for name, value in expected.items():
        if name not in found or not _alike(value, found[name]):
            raise Wrong(
                f"{name} of an item is another {where} than alone: keep nothing of an item on the handler"
            )


def check_together(trial: ModelUnderTest) -> None:
    """Raise Wrong unless a full batch of different items gives each of them what it gets alone.

    Raises Unknown where that could not be seen.
    """
    handler, count = trial.handler, trial.max_batch
    expected = trial.alone
    order = trial.order(count)
    prepared = [handler.preprocess(handler.decode(trial.items[number])) for number in order]
    results = handler.predict(prepared)
    check_count(results, count)
    finished = [handler.postprocess(result) for result in results]
    for number, outputs in zip(order, finished, strict=True):
        check_same(f"in a batch of {count}", expected[number], outputs)
    if count > 1:
        trial.check_telling()


def check_at_once(trial: ModelUnderTest) -> None:
    """Raise Wrong unless several threads at once get what each gets alone, Unknown where none can see."""
    expected = trial.alone
    order = trial.order(THREADS * ROUNDS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # what threads share shows when they take turns often
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda number: trial.compute(trial.items[number]), order))
    finally:
        sys.setswitchinterval(interval)
    for number, outputs in zip(order, found, strict=True):
        check_same("in several threads", expected[number], outputs)
    trial.check_telling()


def check_answer(trial: ModelUnderTest) -> None:
    """Raise Wrong unless /predict/ can be asked in JSON and msgpack, and `top_k` is served or refused."""
    inputs, signature = trial.handler.inputs, trial.signature
    for make in (sample_requests.json_request, sample_requests.msgpack_request):
        headers, body = make(trial.items[0], inputs)
        _round_trip(trial, partial(encodings.choose, headers, b"", signature), body)
    try:
        trial.handler.answer(trial.alone[0], 1)
    except RequestError as refusal:
        if refusal.status != 400:
            raise Wrong(f"answer refuses top_k with {refusal.status}: raise RequestError(400, ...)") from None


def check_inference(trial: ModelUnderTest) -> None:
    """Raise Wrong unless both forms of an inference request carry the item, and their answers its outputs."""
    for make in (sample_requests.inference_request, sample_requests.binary_request):
        headers, body = make(trial.items[0], trial.handler.inputs)
        _round_trip(trial, partial(oip.choose, headers, trial.signature), body)


def _round_trip(trial: ModelUnderTest, choose: Callable[[], Parse], body: bytes) -> None:
    try:
        call = choose()(body)
    except RequestError as refusal:
        raise Wrong(f"the example cannot be sent ({refusal.message}): give one as inputs declare") from None
    (item,) = call.items
    if isinstance(item, RequestError):
        raise Wrong(f"the example cannot be sent ({item.message}): give one as inputs declare")
    check_same("once it was sent", trial.items[0], item)
    call.encode([trial.alone[0]])


# Where one of these is wrong, what follows would only repeat it.
FIRST: dict[str, Callable[[ModelUnderTest], None]] = {
    "the example is what the inputs declare": check_example,
    "an item alone gives the outputs declared": check_alone,
}
THEN: dict[str, Callable[[ModelUnderTest], None]] = {
    "a full batch gives each item what it gets alone": check_together,
    "several threads at once give each item what it gets alone": check_at_once,
    "/predict/ answers in JSON and msgpack": check_answer,
    "the Open Inference Protocol carries inputs and outputs, in JSON and binary": check_inference,
}


def validate(make_engine: Callable[[], Engine], settings: Settings, sink: TextIO) -> int:
    """Write a line for each check of each model to `sink`; return 1 where one is wrong, else 0."""
    good = True
    try:
        for loaded in load_models(make_engine, settings, Metrics()):
            print(f"ok {loaded.name}: loads, declares inputs and outputs, and warms up", file=sink)
            good &= _try(loaded, settings, sink)
    except StartError as error:
        print(f"wrong: {error}", file=sink)
        good = False
    return 0 if good else 1


def _try(loaded: Loaded, settings: Settings, sink: TextIO) -> bool:
    """Make all checks that still make sense; tell whether all are ok."""
    signature = signature_of(loaded, settings.max_items)
    trial = ModelUnderTest(signature, loaded.handler, settings.max_batch, settings.max_pixels)
    if not all(_one(title, partial(check, trial), loaded, sink) for title, check in FIRST.items()):
        return False
    found = [_one(title, partial(check, trial), loaded, sink) for title, check in THEN.items()]
    return all(found)


def _one(title: str, check: Callable[[], object], loaded: Loaded, sink: TextIO) -> bool:
    try:
        check()
    except Wrong as wrong:
        fault = str(wrong)
    except RequestError as refusal:
        fault = f"the example is refused ({refusal.status}: {refusal.message}): take it, or give another"
    except Unknown as unknown:
        print(f"unknown: {loaded.name}: {title}: {unknown}", file=sink)
        return True
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is what is to be told
        fault = f"it {told(error)}: see that place"
    else:
        print(f"ok {loaded.name}: {title}", file=sink)
        return True
    print(f"wrong: {loaded.name}: {title}: no, {fault}", file=sink)
    return False
