"""The process around a service: its log lines, its first signals, its port."""

import errno
import json
import logging
import socket
import subprocess
import sys

import pytest

from serving_core.errors import StartError
from serving_core.process import sockets
from serving_core.process.serve import JsonLines
from serving_core.process.sockets import listen


def test_a_log_line_is_one_json_object_with_its_extras_and_trace() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "it %s", ("broke",), (ValueError, error, None))
    record.request_id = "r1"
    text = JsonLines("torch").format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["message"], line["service"], line["request_id"]) == ("it broke", "torch", "r1")
    assert "two" in line["trace"]


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_stop_before_the_server_listens_ends_the_process_though_signals_were_ignored() -> None:
    program = """
import os, signal, time
from serving_core.process import serve
def stopped_meanwhile(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)
    os._exit(3)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
serve.load_settings = stopped_meanwhile
serve.run("test", None, "TORCH_MODEL_URI")
"""
    assert python(program).returncode == 0


def test_a_warning_is_a_line_of_json_too() -> None:
    program = """
import warnings
from serving_core.process.serve import configure_logs
configure_logs("torch", "info")
warnings.warn("careful")
"""
    made = python(program)
    assert made.returncode == 0
    lines = [json.loads(line) for line in made.stderr.splitlines()]
    assert len(lines) == 1
    assert "careful" in lines[0]["message"]


def test_a_port_that_was_had_is_listened_on_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=120):
        pass


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("127.0.0.1", "set another PORT"),
        ("8.8.8.8", "set HOST to an address of this machine"),
        ("nowhere.invalid", "set HOST to an address of this machine"),
        ("n" * 300, "set HOST to an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_is_told_with_the_setting_to_change(host: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError) as caught:
        listen(host, taken.getsockname()[1])
    assert says in str(caught.value)
    assert ("HOST to" in says) != ("another PORT" in str(caught.value))


def test_a_port_that_is_not_ours_to_have_is_told_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(socket.socket):
        def bind(self, address: object, /) -> None:
            raise PermissionError(errno.EACCES, f"Permission denied: {address}")

    monkeypatch.setattr(sockets.socket, "socket", Forbidden)
    with pytest.raises(StartError, match="set a PORT from 1024 on"):
        listen("127.0.0.1", 80)


def test_a_folder_of_metrics_from_outside_is_not_used() -> None:
    program = """
import os
from serving_core.process import serve
def look(*_):
    from prometheus_client.values import ValueClass
    kept = [name for name in os.environ if name.lower() == "prometheus_multiproc_dir"]
    print(kept, ValueClass.__name__, flush=True)
    os._exit(0)
serve.load_settings = look
for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    os.environ[name] = "/nowhere"
serve.run("test", None, "TORCH_MODEL_URI")
"""
    made = python(program)
    assert made.stdout == "[] MutexValue\n", made.stderr
