"""What pyproject.toml cannot say of the wheel: the services' sources go along, for `bench init` to copy."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))  # a build in an environment of its own does not look here

from bench.project.vendored import FOLDER, source_files  # noqa: E402  # found by the line above


class WithServices(build_py):
    """Copies the services' sources to where the installed package looks for them."""

    def run(self) -> None:
        """Build the packages, then put the sources beside them; an editable install has them already."""
        if self.editable_mode:
            super().run()
            return
        # what an earlier build left here would go along, though its source is gone
        for package in {name.partition(".")[0] for name in self.packages or ()}:
            shutil.rmtree(Path(self.build_lib) / package, ignore_errors=True)
        super().run()
        there = Path(self.build_lib) / FOLDER.relative_to(ROOT.resolve())
        for file in source_files(ROOT):
            (there / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, there / file)


setup(cmdclass={"build_py": WithServices})
