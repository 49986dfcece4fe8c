"""What a service says of its settings: which it knows, and what it refuses."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.measure.runtime.process_runtime import PASSED_ON
from bench.measure.runtime.registry import Registry
from bench.model import Strategy

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class StatedSettings:
    """The names of a service's settings, and of each combination that it was asked about what is wrong."""

    settings: tuple[str, ...]
    faults: tuple[str | None, ...]


def stated_settings(
    registry: Registry, strategy: Strategy, asked: Sequence[Mapping[str, str]]
) -> StatedSettings | None:
    """What the command of the strategy's label bench.settings says; None if nobody here can say.

    A service may need packages that only its image has: then a wrong setting shows when it starts.
    """
    command = strategy.settings_command
    if not command:
        return None
    service = registry.services[strategy.service]
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    program = [sys.executable if command[0] == "python" else command[0], *command[1:]]
    try:
        done = subprocess.run(  # noqa: S603  # compose.yaml's command
            program,
            cwd=registry.root / service.context,
            env={**passed, **service.environment},
            input=json.dumps([dict(one) for one in asked]).encode(),
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        found = msgspec.json.decode(done.stdout, type=StatedSettings)
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError):
        return None
    return found if done.returncode == 0 and len(found.faults) == len(asked) else None
