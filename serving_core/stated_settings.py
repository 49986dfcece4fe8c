"""What a service says of its settings to a program that is about to start it with others."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import orjson

from serving_core.errors import StartError
from serving_core.settings import Settings, load_settings

# what the environment does not set
_OWN = ("service", "model_uri_variable", "model_uri")


def state_settings(service: str, model_uri_variable: str, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Read a JSON list of combinations, each an object from names to values, and write what is known of them.

    The answer is an object: "settings" has the names of all settings, and "faults" for each combination null,
    or what a start with it would say.
    """
    names = [model_uri_variable, *(name.upper() for name in Settings.model_fields if name not in _OWN)]
    faults = [_fault(service, model_uri_variable, one) for one in orjson.loads(stdin.read())]
    stdout.write(orjson.dumps({"settings": names, "faults": faults}) + b"\n")


def _fault(service: str, model_uri_variable: str, given: Mapping[str, str]) -> str | None:
    with _set(given):
        try:
            load_settings(service, model_uri_variable)
        except StartError as error:
            return str(error)
    return None


@contextmanager
def _set(given: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
