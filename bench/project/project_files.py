"""The files of a project, by their paths in it: what each is made of, and nothing written yet."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bench.own_distribution import NAME, own_distribution
from bench.project.compose_text import project_compose
from bench.project.digests import Content
from bench.project.own_origin import own_address, own_wheel
from bench.project.project_plan import ProjectPlan
from bench.project.vendored import source_files, sources_folder

TEMPLATES = Path(__file__).parent / "templates"
SERVICES, HARNESS, MODEL, CODE = "services", "harness", "model", "model_code"
WORKFLOW = ".github/workflows/bench.yml"
# path in the project -> template
WRITTEN = {
    WORKFLOW: "bench.yml",
    ".gitignore": "gitignore",
    "Makefile": "Makefile",
    "README.md": "README.md",
    "gate.toml": "gate.toml",
    f"{HARNESS}/README.md": "harness.md",
    f"{MODEL}/README.md": "model.md",
    f"{CODE}/README.md": "model_code.md",
}
# what is here of the repository, and is no source of a service
NOT_COPIED = ("compose.yaml",)
# what the workflow installs, and how the project's README.md says it, if the harness came from no git
FROM_WHEEL = (
    f'ls {HARNESS}/*.whl || {{ echo "::error::{HARNESS}/ holds no wheel: see README.md"; exit 1; }}',
    f"--no-index {HARNESS}/*.whl",
    f'"$(ls {HARNESS}/*.whl)[bench]"',
)
PRIMARY = '[[primary]]\nstrategy = "{name}"\nmetric = "throughput"\ntolerance = "5%"\n'


def project_files(
    plan: ProjectPlan, brought: Mapping[str, Path], in_repository: str = "."
) -> dict[str, Content]:
    """Every file of the project by its path in it, in order; those `brought` by the user are copied.

    `in_repository` is the project's folder in its git repository.
    """
    sources = sources_folder()
    values = _values(plan) | _places(in_repository) | _origin()
    files: dict[str, Content] = {
        "compose.yaml": project_compose((sources / "compose.yaml").read_text(encoding="utf-8"), plan).encode()
    }
    for path, template in WRITTEN.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        files[path] = text.encode()
    for file in source_files(sources):
        if str(file) not in NOT_COPIED:
            files[f"{SERVICES}/{file.as_posix()}"] = sources / file
    files |= brought
    wheel = own_wheel()
    if wheel is not None:
        files[f"{HARNESS}/{wheel.name}"] = wheel
    return dict(sorted(files.items()))


def _values(plan: ProjectPlan) -> dict[str, str]:
    """What stands in a template for each @NAME@."""
    left = [f"{name} ({why})" for name, why in plan.left_out.items()]
    return {
        "NAME": plan.name,
        "MODEL": plan.model,
        "VERSION": found.version if (found := own_distribution()) else "from a checkout",
        "STRATEGIES": ", ".join(plan.strategies),
        "FIRST": next(iter(plan.strategies)),
        "LEFT_OUT": f" Left out: {'; '.join(left)}." if left else "",
        "PRIMARIES": "\n".join(PRIMARY.format(name=name) for name in plan.strategies),
    }


def _places(in_repository: str) -> dict[str, str]:
    """The same for where the workflow works, and finds what was measured; quoted for YAML."""
    measured = (PurePosixPath(in_repository) / "results" / "ci").as_posix()
    places = {"FOLDER": in_repository, "MEASURED": measured}
    return {name: json.dumps(place, ensure_ascii=False) for name, place in places.items()}


def _origin() -> dict[str, str]:
    """The same for what the harness is installed from: the commit that this one came from, else the wheel."""
    address = own_address()
    texts = FROM_WHEEL
    if address is not None:
        whole = f"{NAME}[bench] @ {address}"
        texts = ("# the commit that wrote this", shlex.quote(address), shlex.quote(whole))
    return dict(zip(("CHECK", "HARNESS", "GET"), texts, strict=True))


def brought_files(model: Mapping[str, Path], code: Mapping[str, Path]) -> dict[str, Path]:
    """The user's files by their paths in the project, given by their names in its folders."""
    return {
        **{f"{MODEL}/{name}": file for name, file in model.items()},
        **{f"{CODE}/{name}": file for name, file in code.items()},
    }
