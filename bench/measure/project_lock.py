"""One harness at a time on a compose project: each clears its strategies before it starts its own."""

import os
import tempfile
from pathlib import Path
from typing import IO

from bench.errors import BenchError


class ProjectLock:
    """Held from `take` to `release`, or until the process ends, however it does."""

    def __init__(self, project: str) -> None:
        user = os.getuid() if hasattr(os, "getuid") else 0
        self._project = project
        self._path = Path(tempfile.gettempdir()) / f"bench-{user}-{project}.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raise BenchError where another process holds it; does nothing where there are no such locks."""
        try:
            import fcntl
        except ImportError:
            return
        file = self._path.open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise BenchError(
                f"another bench measures with the compose project {self._project}: wait until it has ended, "
                "or set COMPOSE_PROJECT_NAME and the ports to others"
            ) from None
        self._file = file

    def release(self) -> None:
        """Let others have it; harmless where it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
