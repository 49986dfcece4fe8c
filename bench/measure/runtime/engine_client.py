"""The way to the Docker engine, and what to do if there is none."""

import os
from typing import Any

from bench.measure.runtime.compose_program import RUN_PROCESSES, MissingPartError

# a busy engine answers within a second or two, one that hangs never does
HELLO_TIMEOUT_S = 20
WORK_TIMEOUT_S = 120


def connect_engine(hello_timeout_s: int = HELLO_TIMEOUT_S) -> Any:
    """The Docker engine that the docker command would use; raises MissingPartError if none answers."""
    import docker

    try:
        client = _client(hello_timeout_s)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise _explained(str(error), hello_timeout_s) from None
    client.api.timeout = WORK_TIMEOUT_S
    return client


def _client(timeout_s: int) -> Any:
    """The client of DOCKER_HOST, or else of the context that the docker command has."""
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    import docker

    if not os.environ.get("DOCKER_HOST"):
        name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
        context = ContextAPI.get_context(name) if name != "default" else None
        if context is not None and context.Host:
            return docker.DockerClient(base_url=context.Host, tls=context.TLSConfig, timeout=timeout_s)
    return docker.from_env(timeout=timeout_s)


def _explained(error: str, timeout_s: int) -> MissingPartError:
    if "Permission denied" in error:
        return MissingPartError(
            "this user may not use the Docker engine's socket",
            f"join the group docker and log in again (sudo usermod -aG docker $USER), {RUN_PROCESSES}",
        )
    if "timed out" in error:
        return MissingPartError(
            f"the Docker engine does not answer within {timeout_s} s", f"restart it, {RUN_PROCESSES}"
        )
    where = " at DOCKER_HOST" if os.environ.get("DOCKER_HOST") else ""
    return MissingPartError(f"no Docker engine answers{where}", f"start it, {RUN_PROCESSES}")
