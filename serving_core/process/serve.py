"""The command line of a service: its first signals, what it is asked to do, and the right exit status.

What serves is imported only where it is needed: a supervisor of several workers stays small without it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from serving_core.errors import StartError
from serving_core.process.logs import configure_logs
from serving_core.process.memory import keep_freed_memory
from serving_core.process.seat import Seat, take_seat
from serving_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from serving_core.dispatch import MakeDispatcher
    from serving_core.service import MakeEngine

log = logging.getLogger("serving_core.process.serve")


def run(
    service: str,
    make_engine: MakeEngine,
    model_uri_variable: str,
    make_dispatcher: MakeDispatcher | None = None,
) -> NoReturn:
    """Do what the command line says, by default serve until told to stop; ends the process."""
    # Until the server has handlers of its own: a container's first process ignores signals without one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    arguments = sys.argv[1:]
    seat = take_seat(arguments)
    if seat is None:
        # Only a supervisor says where workers count together: in a folder from elsewhere counts would stay.
        for variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
            os.environ.pop(variable, None)
    if seat is None and arguments not in ([], ["loop"], ["validate"]):
        print(f"usage: python -m {service}_serving [loop | validate]", file=sys.stderr)
        sys.exit(2)
    keep_freed_memory()
    configure_logs(service, "info")
    try:
        settings = load_settings(service, model_uri_variable)
        configure_logs(service, settings.log_level)
        if arguments == ["loop"]:
            _end(_loop(make_engine, settings))
        if arguments == ["validate"]:
            _end(_validate(make_engine, settings))
        if seat is None and settings.workers > 1:
            _end(_supervise(settings))
        _end(_serve(make_engine, settings, make_dispatcher, seat))
    except StartError as error:
        log.error("cannot start: %s", error)
        _end(1)


def _loop(make_engine: MakeEngine, settings: Settings) -> int:
    from serving_core.loop import run_loop

    run_loop(make_engine, settings, sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _validate(make_engine: MakeEngine, settings: Settings) -> int:
    from serving_core.validation.validate import validate

    return validate(make_engine, settings, sys.stdout)


def _supervise(settings: Settings) -> int:
    from serving_core.process.supervisor import supervise

    return supervise(settings)


def _serve(
    make_engine: MakeEngine, settings: Settings, make_dispatcher: MakeDispatcher | None, seat: Seat | None
) -> int:
    from serving_core.process.server import serve

    return serve(make_engine, settings, make_dispatcher, seat)


def _end(status: int) -> NoReturn:
    """End now: a thread inside native code must not hold up, or crash, the interpreter's own end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
