"""A project's own requests are sent unless somebody names others; without them the images."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess


def test_requests_of_the_root_come_before_its_images(
    bench: Callable[..., "CompletedProcess[str]"], project: Path
) -> None:
    plan = ("plan", "--root", project, "--runtime", "process")
    of_images = bench(*plan)
    assert of_images.returncode == 0, of_images.stderr
    (project / "images").rename(project / "requests")
    assert bench(*plan).stdout == of_images.stdout
    shutil.copytree(project / "requests", project / "images")
    (project / "requests" / "manifest.json").write_text("{}", encoding="utf-8")
    assert bench(*plan).returncode == 2
    assert bench(*plan, "--requests", project / "images").stdout == of_images.stdout
