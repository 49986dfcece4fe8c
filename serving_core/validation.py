"""Checks of each configured model and its handler before they serve: python -m onnx_serving validate.

A check that fails raises Wrong, with a message that ends in the remedy.
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
from serving_core.loading import Loaded, load_models, raised, signature_of
from serving_core.metrics import Metrics
from serving_core.settings import Settings
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

THREADS = 4
ROUNDS = 8
# A batch may be summed in another order than a single item.
TOLERANCE = 1e-3
# the kinds of NumPy types for which JSON and msgpack also take Python's own numbers
PLAIN: dict[str, tuple[type, ...]] = {"f": (float, int), "i": (int,), "b": (bool,)}


class Wrong(Exception):  # noqa: N818 - the result of a check, not an error of the check
    """A handler breaks the contract; the message ends in the remedy."""


class Unknown(Exception):  # noqa: N818 - the result of a check, not an error of the check
    """A check could not have seen the fault that it looks for; the message ends in the remedy."""


@dataclass
class ModelUnderTest:
    """A loaded model, the number of items that it must take at once, and its outputs for each item alone."""

    signature: Signature
    handler: Handler
    max_batch: int
    max_pixels: int

    @cached_property
    def items(self) -> list[Item]:
        """Return the example and those variants of it that the handler accepts."""
        varied = sample_requests.variants(self.handler.example(), self.handler.inputs, self.max_pixels)
        return [varied[0], *(item for item in varied[1:] if self._takes(item))]

    @cached_property
    def alone(self) -> list[Outputs]:
        """Return the outputs of each item computed alone."""
        return [self.compute(item) for item in self.items]

    @cached_property
    def telling(self) -> list[int]:
        """Return the numbers of items whose outputs differ from each other; of all items if none differ."""
        distinct: list[int] = []
        for number, outputs in enumerate(self.alone):
            if not any(same(self.alone[other], outputs) for other in distinct):
                distinct.append(number)
        return distinct if len(distinct) > 1 else [*range(len(self.items))]

    def order(self, count: int) -> list[int]:
        """Return the items to try together: those of `telling` in turn, the last another than the first."""
        order = [self.telling[place % len(self.telling)] for place in range(count)]
        # two items in turn could read the same from the back, and a reversed order would not be seen
        if count > 1 and order[-1] == order[0]:
            order[-1] = self.telling[-1]
        return order

    def check_telling(self) -> None:
        """Raise Unknown if a mix-up of two items' outputs could not be seen."""
        if all(same(self.alone[0], outputs) for outputs in self.alone):
            raise Unknown(
                "all variants of the example give the same outputs: give an example whose variants differ"
            )

    def compute(self, item: Item) -> Outputs:
        """Return one item's outputs; raises Wrong unless `predict` returns exactly one result."""
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
                f"an item like the example {raised(error)}: serve it, or raise RequestError(422, ...)"
            ) from error
        return True


def check_count(results: Sequence[Any], count: int) -> None:
    """Raise Wrong unless there are as many results as items."""
    if len(results) != count:
        raise Wrong(f"predict gives {len(results)} results for {count} items: give one for each, in order")


def check_example(trial: ModelUnderTest) -> None:
    """Raise Wrong unless the example matches the declared inputs."""
    check_values("example", trial.handler.example(), trial.handler.inputs, (bytes,))


def check_alone(trial: ModelUnderTest) -> None:
    """Raise Wrong unless one item's outputs match the declared outputs."""
    for outputs in trial.alone:
        check_values("postprocess", outputs, trial.handler.outputs, (bytes, str))


def check_values(source: str, values: Any, specs: Sequence[TensorSpec], texts: tuple[type, ...]) -> None:
    """Raise Wrong unless `values` match the specs in names, datatypes and shapes, and are finite.

    `texts` are the types that BYTES may have; if str is among them, numbers may be Python's own too.
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
        # any float type will do for a float: it is written as the declared type
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


def same(expected: Outputs, actual: Outputs) -> bool:
    """Tell whether two items' outputs are equal except for rounding."""
    return expected.keys() == actual.keys() and all(_alike(expected[name], actual[name]) for name in expected)


def _alike(expected: Any, actual: Any) -> bool:
    if isinstance(expected, str | bytes):
        return bool(expected == actual)
    if np.shape(expected) != np.shape(actual):
        return False
    if np.asarray(expected).dtype.kind == "f":
        return np.allclose(expected, actual, TOLERANCE, TOLERANCE)
    return np.array_equal(expected, actual)


def check_same(where: str, expected: Outputs, actual: Outputs) -> None:
    """Raise Wrong unless an item's outputs `actual` equal, except for rounding, its outputs alone."""
    for name, value in expected.items():
        if name not in actual or not _alike(value, actual[name]):
            raise Wrong(
                f"{name} of an item {where} differs from its value alone: "
                "keep nothing of an item on the handler"
            )


def check_together(trial: ModelUnderTest) -> None:
    """Raise Wrong unless each item of a full batch of different items gets the outputs that it gets alone.

    Raises Unknown if a difference could not be seen.
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
    """Raise Wrong unless items in several threads at once get the outputs that they get alone.

    Raises Unknown if a difference could not be seen.
    """
    expected = trial.alone
    order = trial.order(THREADS * ROUNDS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # shared data causes errors sooner if the threads take turns often
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            together = list(pool.map(lambda number: trial.compute(trial.items[number]), order))
    finally:
        sys.setswitchinterval(interval)
    for number, outputs in zip(order, together, strict=True):
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
    """Raise Wrong unless an inference request carries the item, and its answer the outputs, in both forms."""
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
    check_same("that was sent", trial.items[0], item)
    call.encode([trial.alone[0]])


# If one of these checks fails, the later checks would only fail for the same reason.
FIRST: dict[str, Callable[[ModelUnderTest], None]] = {
    "the example matches the declared inputs": check_example,
    "an item alone gives the declared outputs": check_alone,
}
THEN: dict[str, Callable[[ModelUnderTest], None]] = {
    "a full batch gives each item the outputs that it gets alone": check_together,
    "several threads at once give each item the outputs that it gets alone": check_at_once,
    "/predict/ answers in JSON and msgpack": check_answer,
    "the Open Inference Protocol carries inputs and outputs, in JSON and binary": check_inference,
}


def validate(make_engine: Callable[[], Engine], settings: Settings, sink: TextIO) -> int:
    """Write a line for each check of each model to `sink`; return 1 if a check failed, else 0."""
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
    """Run the checks of FIRST and, if all of them pass, those of THEN; tell whether all passed."""
    signature = signature_of(loaded, settings.max_items)
    trial = ModelUnderTest(signature, loaded.handler, settings.max_batch, settings.max_pixels)
    if not all(_one(title, partial(check, trial), loaded, sink) for title, check in FIRST.items()):
        return False
    passed = [_one(title, partial(check, trial), loaded, sink) for title, check in THEN.items()]
    return all(passed)


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
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is to be reported
        fault = f"it {raised(error)}: see that place"
    else:
        print(f"ok {loaded.name}: {title}", file=sink)
        return True
    print(f"wrong: {loaded.name}: {title}: no, {fault}", file=sink)
    return False
