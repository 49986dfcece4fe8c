"""Docker: does its engine answer, is docker compose there, and does the engine run on this host?"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.doctor.finding import Finding, finding, unread
from bench.measure.runtime.compose_program import RUN_PROCESSES, MissingPartError, require_compose
from bench.measure.runtime.engine_client import connect_engine

ANSWER_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says about itself; None for what it does not say."""

    version: str | None
    storage: str | None
    cgroup_version: str | None
    cores: int | None
    kernel: str | None
    root: str | None
    """The folder on its host that holds its images. It is never shown, since a report must name no path."""


def connect() -> tuple[Any | None, MissingPartError | None]:
    """The engine's client, None if no engine answers; and what is missing of Docker, the engine first."""
    try:
        client = connect_engine(ANSWER_TIMEOUT_S)
    except MissingPartError as error:
        return None, error
    try:
        require_compose()
    except MissingPartError as error:
        return client, error
    return client, None


def read_engine(client: Any) -> EngineFacts:
    """Ask the engine what it is."""
    return engine_facts(client.info())


def engine_facts(info: Mapping[str, Any]) -> EngineFacts:
    """The facts in the engine's own account."""
    return EngineFacts(
        version=info.get("ServerVersion"),
        storage=info.get("Driver"),
        cgroup_version=info.get("CgroupVersion"),
        cores=info.get("NCPU"),
        kernel=info.get("KernelVersion"),
        root=info.get("DockerRootDir"),
    )


def judge_engine(
    facts: EngineFacts | None,
    our_cores: int | None = None,
    our_kernel: str | None = None,
    missing: MissingPartError | None = None,
) -> tuple[Finding, ...]:
    """The findings `engine` and `engine host`; by default our cores and kernel are this machine's."""
    if facts is None:
        why = missing.what if missing else "no Docker engine answers"
        remedy = missing.remedy if missing else f"start it, {RUN_PROCESSES}"
        return (
            Finding("engine", "doubtful", f"{why}: containers cannot be measured", remedy),
            unread("engine host", "no engine answers"),
        )
    what = (
        f"Docker {facts.version or '?'}, {facts.storage or '?'} store, cgroup v{facts.cgroup_version or '?'}"
    )
    engine = Finding("engine", "good", what)
    if missing is not None:
        why = f"{what}, but {missing.what}: containers cannot be measured"
        engine = Finding("engine", "doubtful", why, missing.remedy)
    cores = os.cpu_count() if our_cores is None else our_cores
    kernel = platform.release() if our_kernel is None else our_kernel
    return engine, _host(facts, cores, kernel)


def _host(facts: EngineFacts, cores: int | None, kernel: str) -> Finding:
    name = "engine host"
    if facts.cores is None or facts.kernel is None:
        return unread(name, "the engine reports neither its cores nor its kernel")
    remedy = "measure on a Linux host whose engine runs beside the harness"
    if facts.kernel != kernel:
        what = f"the engine runs elsewhere or in a virtual machine of its own, with {facts.cores} cores"
        return Finding(
            name, "doubtful", f"{what}: which cores it shares with the driver is not known", remedy
        )
    if facts.cores != cores:
        what = f"the engine has {facts.cores} cores and this system {cores}: one of the two is confined"
        return Finding(name, "doubtful", what, "give both the same cores")
    return finding(name, "good", f"runs on this host, with the same {cores} cores", remedy)
