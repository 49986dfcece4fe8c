"""A service that is asked before anything is measured: a strategy's fresh copy, or one that runs already."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

from bench.errors import BenchError, UsageError
from bench.measure.bounded_http import FAULTS, answer_to, whole_body
from bench.measure.hidden_values import without_values
from bench.measure.http_client import ANSWER_TIMEOUT_S, SHOWN_CHARACTERS, post
from bench.measure.payloads import OWN_PATH, make_payload
from bench.measure.ready import ready_copy
from bench.measure.runtime.instance import Runtime
from bench.measure.runtime.registry import able_to, load_registry
from bench.model import PLAIN, Access, Payload, Strategy
from bench.report.plain import one_line
from bench.request_sets.request_set import SetRequest
from bench.request_sets.stated_model import StatedModel, StatedTensor, stated_model
from bench.verbs.arguments import HostOptions
from bench.verbs.attached_arguments import AttachedService
from bench.verbs.jobs import machine_cores
from bench.verbs.measuring import put_back, runtime_of
from bench.verbs.model_path import ModelPath, path_of
from bench.verbs.terminal_progress import make_progress

USUAL_MODEL = "model"


@dataclass(frozen=True, slots=True)
class AskedService:
    """A service that answers: how people call it, its address, its model's path, and how it is reached.

    `query` is sent with each path of the model, with its question mark.
    """

    name: str
    host: str
    port: int
    model_path: str
    access: Access = PLAIN
    query: str = ""

    def stated_model(self) -> StatedModel:
        """What it states of its model; raises UsageError if it states nothing that requests follow from."""
        status, body = self._stated()
        if status != 200:
            raise UsageError(
                f"{self.name} states no model at {self.model_path} (status {status}): name its model with "
                "the label bench.model, or make the set with `python -m bench requests from-files`"
            )
        return stated_model(body)

    def outputs(self) -> tuple[StatedTensor, ...]:
        """The outputs that it states of its model; none if it states nothing that can be read."""
        status, body = self._stated()
        try:
            return stated_model(body).outputs if status == 200 else ()
        except UsageError:
            return ()

    def answer(self, payload: Payload, path: str) -> tuple[int, bytes]:
        """Status and body of the answer to a payload, at `path` if it has none; BenchError without one."""
        status, body = post(self.host, self.port, path, payload, self.access)
        if not status:
            raise self._silent(payload.path or path, body.decode(errors="replace"))
        return status, body

    def beginning(self, body: bytes) -> str:
        """The first of an answer in a line, without the values of the headers that it was sent."""
        return one_line(without_values(body.decode(errors="replace"), self.access)[:SHOWN_CHARACTERS])

    def computes(self, request: SetRequest) -> bool:
        """Whether it answers a request's inputs with outputs."""
        return self._infer(request)[0] == 200

    def require_computes(self, requests: Sequence[SetRequest]) -> None:
        """Raise UsageError unless it answers all of these requests, which were drawn, with outputs."""
        refused = [
            (request.name, status, said)
            for request in requests
            for status, said in [self._infer(request)]
            if status != 200
        ]
        if refused:
            name, status, said = refused[0]
            raise UsageError(
                f"{self.name} refuses {len(refused)} of {len(requests)} drawn requests, {name} with {status} "
                f"({said}): draw what it takes with --range and --sizes"
            )

    def _infer(self, request: SetRequest) -> tuple[int, str]:
        """The status of an answer to a request's inputs, and the answer's beginning."""
        payload = make_payload(replace(request, path=None), "oip-json", OWN_PATH)
        status, body = self.answer(payload, f"{self.model_path}/infer{self.query}")
        return status, self.beginning(body)

    def _stated(self) -> tuple[int, bytes]:
        """Status and body of what it states of its model; raises BenchError if it does not answer."""
        path = self.model_path + self.query
        try:
            with answer_to(
                "GET", self.host, self.port, path, timeout_s=ANSWER_TIMEOUT_S, access=self.access
            ) as answer:
                return answer.status, whole_body(answer)
        except FAULTS as error:
            raise self._silent(path, str(error)) from None

    def _silent(self, path: str, why: str) -> BenchError:
        shown = without_values(why, self.access)
        # the query may hold a key
        where = path.partition("?")[0]
        return BenchError(f"{self.name} does not answer {where} ({shown}): see that it runs, and its log")


Copies = Callable[[], AbstractContextManager[AskedService]]
"""Each call gives a copy for a block: a fresh one of a strategy, or the same service that runs already."""


@contextmanager
def hosted(name: str, options: HostOptions) -> Iterator[tuple[Strategy, Copies]]:
    """The strategy of this name, ready to be started; everything is put back after the block."""
    registry = load_registry(options.root)
    (strategy,) = able_to(registry.select([name]), options.machine.device, named=True)
    progress = make_progress(quiet=options.quiet, verbose=False)
    runtime = runtime_of(registry, options.machine, machine_cores(options.machine), progress)
    try:
        runtime.prepare([strategy], build=options.build)
        yield strategy, lambda: _fresh(runtime, strategy)
    finally:
        put_back(progress, runtime)


@contextmanager
def _fresh(runtime: Runtime, strategy: Strategy) -> Iterator[AskedService]:
    with ready_copy(runtime, strategy) as instance:
        yield AskedService(strategy.name, instance.host, instance.port, path_of(strategy.model))


def running(service: AttachedService, model: ModelPath | None) -> AskedService:
    """The service that runs already, which serves this model; None if its address names no model."""
    url, access = service.url, service.attachment.access
    if model is None:
        return AskedService("the service", url.host, url.port, path_of(USUAL_MODEL), access)
    return AskedService("the service", url.host, url.port, model.own, access, model.query)


def always(service: AskedService) -> Copies:
    """The same service for every block."""
    return lambda: nullcontext(service)
