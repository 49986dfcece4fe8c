"""The process around a service: its log lines, its first signals, its port."""

import json
import logging
import socket
import subprocess
import sys

from serving_core.process.listener import listen
from serving_core.process.logs import JsonLines


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
from serving_core.process.logs import configure_logs
configure_logs("torch", "info")
warnings.warn("careful")
"""
    made = python(program)
    assert made.returncode == 0
    lines = [json.loads(line) for line in made.stderr.splitlines()]
    assert len(lines) == 1
    assert "careful" in lines[0]["message"]


def test_a_port_that_was_had_is_listened_on_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        pass
