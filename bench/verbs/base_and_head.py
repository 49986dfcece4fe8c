"""Base and head side by side: another commit's files, both runtimes as one, and the plan of their pairs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.cores import Cores
from bench.errors import InvalidRunError, UsageError
from bench.measure.payloads import common_model, payload_sets, read_images
from bench.measure.plan import OtherSide, SessionPlan
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
from bench.model import Device, Strategy, Twin, twin_name
from bench.verbs.jobs import Job, with_tolerance
from bench.verbs.measuring import choose_runtime

ANY_CHANGE = 1.0


@contextmanager
def both_sides(job: Job, ref: str, cores: Cores, progress: Progress) -> Iterator[tuple[Job, TwoSides]]:
    """Base, the commit `ref`, beside head, while the block runs: the job with base's twins, and its runtime.

    Base's files are gone after the block, its images at the next gate. Raises UsageError for a commit that is
    not here or whose files are not usable, InvalidRunError if base and head have no strategy in common or are
    sent different images.
    """
    with base_tree(job.registry.root, ref) as tree:
        head = choose_runtime(job, cores, progress)
        runtimes = [head]
        try:
            with _named(ref):
                registry = load_registry(tree.root)
                runtimes.append(
                    _base_runtime(registry, tree, head, cores, progress, job.session.machine.device)
                )
                plan = _plan_of_both(job, ref, registry, tree)
        except BaseException:
            for runtime in runtimes:
                runtime.close()
            raise
        yield replace(job, plan=plan), TwoSides(*runtimes)


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
        from bench.measure.runtime.compose_runtime import ComposeRuntime, connect_engine

        engine = connect_engine()
        renamed = rename_project(registry, tree.commit, wheels=wheels_folder())
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
    """What base must answer to the images that both are sent."""
    folder, plan = tree.root / "images", job.plan
    theirs = job.images if job.places.images or not folder.is_dir() else read_images(folder)
    classes, encodings = zip(*plan.payloads, strict=True)
    model = common_model(registry.strategies.values(), encodings)
    payloads = payload_sets(theirs, dict.fromkeys(classes), dict.fromkeys(encodings), model)
    for chosen, ours in plan.payloads.items():
        if [one.body for one in ours] != [one.body for one in payloads[chosen]]:
            raise InvalidRunError(
                f"base and head have different images of class {chosen[0]}, so they would not be asked the "
                "same: name one set for both with --images"
            )
    return OtherSide(ref, tree.commit, only_head, theirs, payloads)
