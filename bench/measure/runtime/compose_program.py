"""The docker compose program: whether it can be used here, and a question to it."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.errors import BenchError

# the first that takes `env_file: [{path: ..., required: false}]`
LEAST = (2, 24)
ANSWER_TIMEOUT_S = 60.0
INSTALL = "install Docker's command line and its compose plug-in (docker-compose-plugin, 2.24 or newer)"
RUN_PROCESSES = "or take local processes with --runtime process"


class MissingPartError(BenchError):
    """A part of Docker cannot be used here: `what` says which and why, `remedy` what helps."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what, self.remedy = what, remedy


class ComposeRefusalError(BenchError):
    """Docker compose is here and refuses what it was asked; the message is its own, in one line."""


def require_compose(environment: Mapping[str, str] | None = None) -> str:
    """The version of docker compose; raises MissingPartError if there is none, or one that is too old."""
    done = _call(["docker", "compose", "version", "--short"], None, environment)
    text = done.stdout.strip()
    found = re.match(r"v?(\d+)\.(\d+)", text)
    if done.returncode != 0 or not found:
        if _is_podman(environment):
            raise MissingPartError(
                "the docker command here is podman's, which has no docker compose",
                f"{INSTALL}, {RUN_PROCESSES}",
            )
        raise MissingPartError("docker has no compose plug-in here", f"{INSTALL}, {RUN_PROCESSES}")
    if (int(found[1]), int(found[2])) < LEAST:
        least = ".".join(map(str, LEAST))
        raise MissingPartError(
            f"docker compose is {text} here, and {least} or newer is needed", f"{INSTALL}, {RUN_PROCESSES}"
        )
    return text


def ask_compose(
    *args: str, folder: Path, environment: Mapping[str, str] | None = None, project: str | None = None
) -> str:
    """What `docker compose` prints in this folder.

    Raises MissingPartError if it cannot be used here, ComposeRefusalError if it can and refuses.
    """
    given = dict(os.environ if environment is None else environment)
    # a shell in that folder would have it so, and compose.yaml may name it
    there = {"PWD": str(folder.resolve()), **({"COMPOSE_PROJECT_NAME": project} if project else {})}
    done = _call(["docker", "compose", *args], folder, {**given, **there})
    if done.returncode != 0:
        require_compose(environment)
        raise ComposeRefusalError(" ".join(done.stderr.split()) or "it said nothing")
    return done.stdout


def _is_podman(environment: Mapping[str, str] | None) -> bool:
    """Whether the docker command is podman under another name."""
    done = _call(["docker", "--version"], None, environment)
    return "podman" in (done.stdout + done.stderr).lower()


def _call(
    command: Sequence[str], folder: Path | None, environment: Mapping[str, str] | None
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603  # docker, with arguments of our own
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=ANSWER_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise MissingPartError("there is no docker command here", f"{INSTALL}, {RUN_PROCESSES}") from None
    except subprocess.TimeoutExpired:
        raise MissingPartError(
            f"`{' '.join(command[:3])}` does not end within {ANSWER_TIMEOUT_S:.0f} s",
            f"see what it waits for, {RUN_PROCESSES}",
        ) from None
    except OSError as error:
        raise MissingPartError(
            f"the docker command here cannot be run ({error.strerror})", f"{INSTALL}, {RUN_PROCESSES}"
        ) from None
