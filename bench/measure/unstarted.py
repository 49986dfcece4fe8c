"""What is said once of services that run already: what cannot be measured of them, and on which cores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.cores import Cores, format_cores
from bench.model import Doubt, Environment, Strategy

STARTED_ONLY = "startup, image size, model cache and bare loop"

FoundOn = Mapping[str, tuple[int, ...]]
"""The cores of this machine that each service may use that runs already, none if nobody knows."""


def with_known_cores(
    environment: Environment, strategies: Sequence[Strategy], found_on: FoundOn, cores: Cores
) -> Environment:
    """The environment with the cores on which all services were found, if bench starts none of them."""
    if any(one.attachment is None for one in strategies):
        return environment
    found = tuple(sorted({core for mine in found_on.values() for core in mine}))
    named, disjoint = None, None
    if all(found_on.values()):
        named, disjoint = format_cores(found), not set(found) & set(cores.driver)
    return replace(environment, service_cores=named, cores_disjoint=disjoint, stolen_since_boot=None)


def unstarted_doubts(
    strategies: Sequence[Strategy], found_on: FoundOn, cores: Cores, not_there: Sequence[str] = ()
) -> list[Doubt]:
    """The doubts that follow from how services are reached that run already; none if all are started.

    What was named as the services `not_there` does not listen at their addresses.
    """
    attached = [one for one in strategies if one.attachment is not None]
    if not attached:
        return []
    return [
        _not_started(attached, found_on),
        *_beside_the_driver(attached, found_on, cores),
        *_no_tls(attached),
        *_of_others(not_there),
    ]


def _not_started(attached: Sequence[Strategy], found_on: FoundOn) -> Doubt:
    names, was = [one.name for one in attached], "was" if len(attached) == 1 else "were"
    text = (
        f"{', '.join(names)} ran already and {was} not started: {STARTED_ONLY} are not measured, and all "
        "rounds share a process"
    )
    remedy = "a stanza in compose.yaml lets bench start it"
    for name in names:
        if found_on.get(name):
            text += f"; {name} may use the cores {format_cores(found_on[name])}"
    uncounted = [one.name for one in attached if one.attachment and one.attachment.accounting == "none"]
    if uncounted:
        text += f"; what {', '.join(uncounted)} uses, and of which cores, is not known"
        remedy = f"name its process with --pid or --container; {remedy}"
    elsewhere = [name for name in names if name not in uncounted and not found_on.get(name)]
    if elsewhere:
        text += f"; of which cores {', '.join(elsewhere)} uses is not known"
    return Doubt("attached", text, remedy, voids=False, cause="harness")


def _beside_the_driver(attached: Sequence[Strategy], found_on: FoundOn, cores: Cores) -> list[Doubt]:
    """A doubt for each service that may use a core of the driver's."""
    found = []
    for one in attached:
        shared = tuple(core for core in found_on.get(one.name, ()) if core in cores.driver)
        if shared:
            text = (
                f"{one.name} may use core {format_cores(shared)}, which the driver uses too: absolute "
                "figures may be too low"
            )
            remedy = (
                "keep it off that core (`taskset -acp`, `docker update --cpuset-cpus`), or --driver-cores"
            )
            found.append(Doubt("shared_core", text, remedy, voids=False, cause="host"))
    return found


def _of_others(not_there: Sequence[str]) -> list[Doubt]:
    """A doubt if CPU time and memory may be those of another process than the service."""
    if not not_there:
        return []
    text = (
        f"what was named as {', '.join(not_there)} does not listen at the service's address: CPU time and "
        "memory may be another's, or a part"
    )
    remedy = "name what listens there with --pid or --container (`ss -ltnp`, `docker ps`)"
    return [Doubt("account_of_another", text, remedy, voids=False, cause="harness")]


def _no_tls(attached: Sequence[Strategy]) -> list[Doubt]:
    names = [one.name for one in attached if one.attachment and one.attachment.access.tls]
    if not names:
        return []
    text = (
        f"{', '.join(names)} is reached over TLS, and the driver's ceiling was measured without: with TLS "
        "the driver reaches less"
    )
    remedy = "judge by the driver's busiest core in report.md"
    return [Doubt("ceiling_without_tls", text, remedy, voids=False, cause="driver")]
