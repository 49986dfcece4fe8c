"""A build of images as it goes on: a line for each service from all that the builder prints."""

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

END_S = 10.0
# "#12 [torch_serving stage-1 3/9] RUN pip install", "#12 DONE 3.2s", "#12 CACHED"
STEP = re.compile(r"#(?P<number>\d+) \[(?P<service>[^\]\s]+)(?P<stage>[^\]]*)\] (?P<what>.*)")
STEP_END = re.compile(r"#(?P<number>\d+) (?P<how>DONE|CACHED|ERROR)\b")
NUMBERED = re.compile(r"\d+/\d+$")


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """How a build ended: whether every image was built, and all that was printed."""

    succeeded: bool
    output: str


class BuildLines:
    """Reads the builder's lines and tells of each service once its image is there."""

    def __init__(self, services: Collection[str], tell: Callable[[str], None]) -> None:
        self._waiting = list(services)
        self._tell = tell
        self._begun = time.monotonic()
        self._steps: dict[str, tuple[str, str]] = {}
        self._ran: dict[str, int] = {}
        self._cached: dict[str, int] = {}

    def read(self, line: str) -> None:
        """Take a line of the builder's plain output."""
        if (found := STEP.match(line)) and found["service"] in self._waiting:
            kind = "numbered" if NUMBERED.search(found["stage"]) else found["what"]
            # the base image is there or pulled, and is no step of the service's own
            self._steps[found["number"]] = (
                found["service"],
                "" if found["what"].startswith("FROM ") else kind,
            )
        elif (found := STEP_END.match(line)) and found["number"] in self._steps:
            service, kind = self._steps[found["number"]]
            if kind == "numbered":
                counts = self._cached if found["how"] == "CACHED" else self._ran
                counts[service] = counts.get(service, 0) + 1
            elif kind == "exporting to image" and found["how"] == "DONE":
                self._found(service)

    def finish(self) -> None:
        """Tell of the services whose end the builder did not show."""
        for service in tuple(self._waiting):
            self._found(service)

    def _found(self, service: str) -> None:
        if service not in self._waiting:
            return
        self._waiting.remove(service)
        ran, cached = self._ran.get(service, 0), self._cached.get(service, 0)
        how = f"built, {ran} of {ran + cached} steps anew" if ran else "cached"
        self._tell(f"image of {service}: {how}, after {time.monotonic() - self._begun:.1f} s")


def build_images(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    lines: BuildLines,
    show: Callable[[str], None],
) -> ImageBuild:
    """Run the build, give each line to `lines` and to `show`; all that was printed is in what is returned."""
    printed: list[str] = []
    process = subprocess.Popen(  # noqa: S603  # docker, with arguments of our own
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with _ended(process):
        for line in process.stdout or ():
            printed.append(line)
            lines.read(line)
            show(line.rstrip("\n"))
        succeeded = process.wait() == 0
    if succeeded:
        lines.finish()
    return ImageBuild(succeeded, "".join(printed))


@contextmanager
def _ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Leave no build at work if the block is interrupted."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=END_S)
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
