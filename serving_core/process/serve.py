"""The command line of a service: its signals until it serves, its log, its commands and its exit status.

The HTTP server is imported only if it is needed: the supervisor of several workers stays small without it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import orjson

from serving_core.errors import StartError
from serving_core.process.signals import end_at_once_when_stopped
from serving_core.process.sockets import Seat, take_seat
from serving_core.settings import Settings, load_settings

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonLines(logging.Formatter):
    """Formats a record, its `extra` fields and its traceback as one JSON object."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
        }
        line.update((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logs(service: str, level: str) -> None:
    """Send every log record of this process at or above `level` to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for chatty in ("urllib3", "google", "PIL", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # These loggers warn about every malformed request; the senders of such requests must not fill the log.
    for provocable in ("uvicorn", "python_multipart"):
        logging.getLogger(provocable).setLevel(logging.ERROR)


M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
MIB = 1024 * 1024


def keep_freed_memory() -> None:
    """Tell glibc not to return image-sized buffers to the system after each request; no-op without glibc.

    By default each of these buffers is mapped, zeroed page by page, and unmapped again: 1 300 page faults and
    a third of eager PyTorch's time for a small image. Every service does this, so it favours no strategy.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return  # the user has set the limits already
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_MMAP_THRESHOLD, 32 * MIB)  # the most that glibc accepts
    mallopt(M_TRIM_THRESHOLD, 256 * MIB)


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
    """Do what the command line says, by default serve until a signal stops it; then end the process."""
    end_at_once_when_stopped()  # until the server has its own handlers
    arguments = sys.argv[1:]
    seat = take_seat(arguments)
    if seat is None:
        # Only a supervisor sets the folder of the workers' counts: another folder could hold older counts.
        for variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
            os.environ.pop(variable, None)
    if seat is None and arguments not in ([], ["loop"], ["validate"], ["settings"]):
        print(f"usage: python -m {service}_serving [loop | validate | settings]", file=sys.stderr)
        sys.exit(2)
    if arguments == ["settings"]:
        _end(_state(service, model_uri_variable))
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


def _state(service: str, model_uri_variable: str) -> int:
    from serving_core.stated_settings import state_settings

    state_settings(service, model_uri_variable, sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _loop(make_engine: MakeEngine, settings: Settings) -> int:
    from serving_core.loop import run_loop

    run_loop(make_engine, settings, sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _validate(make_engine: MakeEngine, settings: Settings) -> int:
    from serving_core.validation import validate

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
    """End at once: a thread inside native code must not delay or crash the interpreter's own end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the terminal or the pipe is gone
            stream.flush()
    os._exit(status)
