"""What a service says whose packages are not installed. This file imports nothing but Python's own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def packages_of(lock: str) -> Iterator[None]:
    """End the program with one line if an import inside lacks a package that `locks/{lock}.txt` lists."""
    try:
        yield
    except ModuleNotFoundError as error:
        sys.exit(
            f"the package {error.name} is missing: `sh tools/install.sh locks/{lock}.txt .venv` installs "
            "what this service needs into .venv, where bench must be too (in a project both lie in services/)"
        )
