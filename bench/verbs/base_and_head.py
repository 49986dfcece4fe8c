"""Base and head side by side: another commit's files, both runtimes as one, and the plan of their pairs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.cores import Cores
from bench.errors import InvalidRunError, UsageError
from bench.measure.payloads import common_model
from bench.measure.plan import OtherSide, PayloadSet, SessionPlan
from bench.measure.progress import Progress
from bench.measure.runtime.base_commit import (
    BaseTree,
    TwoSides,
    base_tree,
    drop_other_images,
    move_ports,
    rename_project,
)
from bench.measure.runtime.compose_cli import wheels_folder
from bench.measure.runtime.instance import Runtime
from bench.measure.runtime.registry import Registry, load_registry
from bench.model import Device, Payload, Strategy, Twin, twin_name
from bench.request_sets.held_out import read_held_out
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import AS_IS
from bench.request_sets.usual_folder import usual_folder
from bench.verbs.jobs import Job, timed_sets, with_tolerance
from bench.verbs.measuring import choose_runtime

ANY_CHANGE = 1.0


@contextmanager
def both_sides(job: Job, ref: str, cores: Cores, progress: Progress) -> Iterator[tuple[Job, TwoSides]]:
    """Base, the commit `ref`, beside head, while the block runs: the job with base's twins, and its runtime.

    Base's files are gone after the block, its images at the next gate. Raises UsageError for a commit that is
    not here or whose files are not usable, InvalidRunError if base and head have no strategy in common or are
    sent different requests.
    """
    with base_tree(job.registry, ref) as tree:
        head = choose_runtime(job, cores, progress)
        runtimes = [head]
        try:
            with _named(ref):
                registry = load_registry(tree.root, tree.environment)
                runtimes.append(
                    _base_runtime(registry, tree, head, cores, progress, job.session.machine.device)
                )
                plan = _plan_of_both(job, ref, registry, tree)
        except BaseException:
            for runtime in runtimes:
                runtime.close()
            raise
        yield replace(job, plan=plan), TwoSides(*runtimes)


def planned_sides(job: Job, ref: str) -> SessionPlan:
    """The plan of base, the commit `ref`, beside head; nothing is built or started.

    Raises as `both_sides` does.
    """
    with base_tree(job.registry, ref) as tree, _named(ref):
        return _plan_of_both(job, ref, load_registry(tree.root, tree.environment), tree)


def only(plan: SessionPlan, names: Sequence[str]) -> SessionPlan:
    """The same plan of some strategies and their twins, for a second batch of fresh containers."""
    kept = tuple(one for one in plan.strategies if (one.twin.of if one.twin else one.name) in names)
    return replace(plan, strategies=kept, seed=plan.seed + 1, checked=True)


@contextmanager
def _named(ref: str) -> Iterator[None]:
    """Say of a mistake in base's files that it is in base's."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"in {ref}: {error}") from None


def _base_runtime(
    registry: Registry, tree: BaseTree, head: Runtime, cores: Cores, progress: Progress, device: Device
) -> Runtime:
    if head.kind == "compose":
        from bench.measure.runtime.compose_runtime import ComposeRuntime
        from bench.measure.runtime.engine_client import connect_engine

        engine = connect_engine()
        renamed = rename_project(registry, tree.commit, tree.environment, wheels=wheels_folder())
        drop_other_images(engine, renamed, tree.commit)
        layers = head.root / ".cache" / "layers.json"
        return ComposeRuntime(renamed, cores, engine, progress, device, layer_cache=layers, passing=True)
    from bench.measure.runtime.process_runtime import ProcessRuntime

    return ProcessRuntime(move_ports(registry), cores, device)


def _plan_of_both(job: Job, ref: str, registry: Registry, tree: BaseTree) -> SessionPlan:
    """The plan with base's twins, without the strategies that base does not have."""
    shared = [one for one in job.plan.strategies if one.name in registry.strategies]
    if not shared:
        raise InvalidRunError(f"{ref} has none of these strategies: nothing can be compared")
    only_head = tuple(one.name for one in job.plan.strategies if one not in shared)
    return replace(
        job.plan,
        strategies=_twins(shared, registry, tree, job.plan.tolerance),
        base=_other_side(job, ref, registry, tree, only_head),
        # a rate that wanders does so on both sides, and their ratio does not
        bounds=replace(job.plan.bounds, steady=ANY_CHANGE),
    )


def _twins(
    shared: Sequence[Strategy], registry: Registry, tree: BaseTree, tolerance: float
) -> tuple[Strategy, ...]:
    """Each strategy of head with its twin of base, whose answers have this tolerance or its own label's."""
    twins = []
    for one in shared:
        theirs = registry.strategies[one.name]
        title = f"{theirs.title} ({tree.commit})"
        name, twin = twin_name(one.name, "base"), Twin(one.name, "base")
        twins += [
            with_tolerance(
                replace(theirs, name=name, title=title, encodings=one.encodings, twin=twin), tolerance
            ),
            one,
        ]
    return tuple(twins)


def _other_side(
    job: Job, ref: str, registry: Registry, tree: BaseTree, only_head: tuple[str, ...]
) -> OtherSide:
    """What base must answer to the requests that both are sent."""
    folder, plan = usual_folder(tree.root), job.plan
    own = job.places.requests is None and folder.is_dir()
    theirs = read_request_set(folder).requests if own else job.requests.requests
    encodings = [one for one in dict.fromkeys(encoding for _, encoding in plan.payloads) if one != AS_IS]
    payloads = timed_sets(job.session, theirs, _model_of(registry.strategies.values(), encodings))
    require_same_requests(plan, timed_sets(job.session, theirs, _model_of(plan.strategies, encodings)))
    held_out = read_held_out(folder) if own else plan.held_out
    return OtherSide(ref, tree.commit, only_head, theirs, payloads, held_out)


def _model_of(strategies: Iterable[Strategy], encodings: Sequence[str]) -> str | None:
    return common_model(strategies, encodings) if encodings else None


def require_same_requests(plan: SessionPlan, theirs: Mapping[PayloadSet, tuple[Payload, ...]]) -> None:
    """Raise InvalidRunError if base's requests, sent to head's model, are not head's in all that is sent.

    A commit may give the model another name, and answers may change.
    """
    for chosen, ours in plan.payloads.items():
        if list(map(_sent, ours)) != list(map(_sent, theirs.get(chosen, ()))):
            raise InvalidRunError(
                f"base and head have different requests of class {chosen[0]}, so they would not be asked the "
                "same: name one set for both with --requests"
            )


def _sent(one: Payload) -> tuple[object, ...]:
    return one.name, one.method, one.path, one.content_type, dict(one.headers), one.weight, one.body
