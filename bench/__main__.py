"""`python -m bench`, and the program `bench` that the wheel installs."""

import sys
from pathlib import Path

# what follows is not even read by an older Python
if sys.version_info < (3, 11):  # noqa: UP036  # nobody checks `requires-python` of what is run from its folder
    sys.stderr.write("bench: Python 3.11 or newer is needed, and this is %d.%d: " % sys.version_info[:2])  # noqa: UP031
    sys.stderr.write("make an environment with it, python3.11 -m venv .venv\n")
    sys.exit(1)


def start() -> int:
    """Run the command line; a package that is not installed is said in one line."""
    try:
        from bench.cli import main

        return main()
    except ModuleNotFoundError as error:
        package = (error.name or "bench").partition(".")[0]
        if package == "bench":
            raise
        sys.stderr.write(f"bench: the package {package} is missing: ")
        # of a checkout no distribution is installed, and an index would give another one of this name
        is_checkout = (Path(__file__).parents[1] / "pyproject.toml").is_file()
        what = "." if is_checkout else "model-serving-bench"
        sys.stderr.write(f"install what bench needs, pip install '{what}[bench]'\n")
        return 1


if __name__ == "__main__":
    sys.exit(start())
