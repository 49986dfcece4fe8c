"""`bench init`: a folder that compares ways of serving a model of the user's."""

import argparse
import errno
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, UsageError
from bench.own_distribution import own_distribution
from bench.verbs.argument_types import name, path
from bench.verbs.parser import called

if TYPE_CHECKING:
    from bench.project.named_model import NamedModel
    from bench.project.project_plan import ProjectPlan
    from bench.project.project_writing import Updated


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The project's folder, what it is for, and whether it is renewed."""

    folder: Path
    name: str | None
    models: tuple[str, ...]
    model_name: str | None
    code: tuple[Path, ...]
    update: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `init`."""
    add = parser.add_argument
    add("folder", type=path, metavar="DIR", help="where the project is written: a new or empty folder")
    add("--name", type=name, metavar="NAME", help="the project's name, for its images (the folder's)")
    add(
        "--model",
        type=name,
        nargs="+",
        default=[],
        metavar="PLACE",
        help="the model: a folder or file that `modelkit add` wrote, which is copied, or the address of each "
        "form, gs://bucket/folder/model.onnx (none: all strategies, and the model comes later)",
    )
    add(
        "--model-name",
        type=name,
        metavar="NAME",
        help="the name in the model.json of a model that lies elsewhere (the last folder of its address)",
    )
    add(
        "--code",
        type=path,
        nargs="+",
        default=[],
        metavar="PLACE",
        help="Python modules that the model needs, such as the architecture of .safetensors: a file, or a "
        "folder that they lie in; copied into model_code/",
    )
    add("--update", action="store_true", help="renew what `init` wrote there and you have not changed")


def read(args: argparse.Namespace, _: Sequence[str]) -> InitOptions:
    """The options of `init`."""
    return InitOptions(
        args.folder, args.name, tuple(args.model), args.model_name, tuple(args.code), args.update
    )


def do(options: InitOptions) -> int:
    """Write or renew the project, and say what comes next."""
    from bench.project.project_writing import require_empty

    try:
        if options.update:
            return _renew(options)
        require_empty(options.folder)
        return _write(options)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise BenchError(
            f"{options.folder} cannot be written, {error.strerror} at {error.filename}: name a folder that "
            "you may write, and files that you may read"
        ) from None


def _write(options: InitOptions) -> int:
    from bench.project.git_top import path_in_repository
    from bench.project.project_files import project_files
    from bench.project.project_plan import USUAL, ProjectPlan, checked_name, name_of_folder
    from bench.project.project_writing import write_new

    named = options.name or name_of_folder(options.folder.resolve().name)
    plan = ProjectPlan(checked_name(named), model=named, addresses=dict(USUAL))
    plan, brought, told = _brought(options, plan)
    within = path_in_repository(options.folder)
    files = project_files(plan, brought, within)
    write_new(options.folder, plan, files)
    print(f"project {options.folder}: {len(files)} files, strategies {', '.join(plan.strategies)}")
    _say([*told, *_missing(options, plan, files, within)])
    print("next    " + "\n        ".join(_next(options, plan)))
    return 0


def _renew(options: InitOptions) -> int:
    from bench.project.git_top import path_in_repository
    from bench.project.project_files import WORKFLOW, project_files
    from bench.project.project_plan import checked_name
    from bench.project.project_writing import read_record, update

    plan = read_record(options.folder).plan
    if options.name:
        plan = replace(plan, name=checked_name(options.name))
    plan, brought, told = _brought(options, plan)
    within = path_in_repository(options.folder)
    files = project_files(plan, brought, within)
    done = update(options.folder, plan, files, brought)
    print(f"project {options.folder}: {len(done.written)} files written, {len(done.removed)} removed")
    if options.models:
        told += _missing(options, plan, files, within)
    elif WORKFLOW in done.written:
        told += _harness_missing(options, files)
    _say([*told, *_left_alone(done)])
    return 0


def _brought(options: InitOptions, plan: "ProjectPlan") -> tuple["ProjectPlan", dict[str, Path], list[str]]:
    """The plan for what the user names, the files to copy by their paths in the project, what to say."""
    from bench.project.code_files import read_code, require_module
    from bench.project.named_model import MANIFEST, read_models
    from bench.project.project_files import brought_files

    if options.model_name and not options.models:
        raise UsageError("--model-name goes with --model: give the model's addresses too")
    models, code = read_models(options.models, options.model_name), read_code(options.code)
    if options.models:
        plan = _planned(plan, models)
    require_module(plan.architecture, code)
    told = []
    if models.guess:
        told.append(
            f"the model's name is taken from its address, {models.guess}: if its {MANIFEST} says another, "
            "give --model-name"
        )
    return plan, brought_files(models.files, code), told


def _planned(plan: "ProjectPlan", models: "NamedModel") -> "ProjectPlan":
    """The plan for this model; raises UsageError if no strategy can serve it."""
    made = replace(
        plan,
        model=models.name or plan.model,
        addresses=dict(models.addresses),
        encodings=models.encodings,
        architecture=models.architecture,
    )
    if not made.strategies:
        raise UsageError("no strategy serves a form of this model: write another with `modelkit add`")
    return made


def _missing(options: InitOptions, plan: "ProjectPlan", files: Iterable[str], within: str) -> list[str]:
    """What the project cannot do, and what its user has to bring, a line each."""
    from bench.project.project_files import CODE, WORKFLOW

    lines = [f"left out: {strategy}: {why}" for strategy, why in plan.left_out.items()]
    if plan.needs_code and not options.code:
        lines.append(
            f"{plan.architecture} makes the network of the weights: put that module into {CODE}/, or name it "
            "with --code"
        )
    if within != ".":
        lines.append(
            f"the project lies in {within}/ of a git repository: move its {WORKFLOW} to {WORKFLOW} at the "
            "repository's top, because GitHub reads no other"
        )
    return [*lines, *_harness_missing(options, files)]


def _harness_missing(options: InitOptions, files: Iterable[str]) -> list[str]:
    """The same of what the workflow installs the harness from."""
    from bench.project.own_origin import LOCAL, WHEEL, own_address
    from bench.project.project_files import HARNESS, WORKFLOW
    from bench.project.vendored import sources_folder

    address = own_address()
    if address is not None:
        told = f"{WORKFLOW} installs the harness from {address}, which is on this machine only: write the "
        return [f"{told}repository's public address there"] if address.startswith(LOCAL) else []
    there = (options.folder / HARNESS).glob(f"*{WHEEL}")
    paths = (*files, *(path.relative_to(options.folder).as_posix() for path in there))
    if any(path.startswith(f"{HARNESS}/") and path.endswith(WHEEL) for path in paths):
        return []
    how = "put the wheel of model-serving-bench there"
    if own_distribution() is None:
        places = shlex.join([str(options.folder / HARNESS), str(sources_folder())])
        how = f"python -m pip wheel --no-deps --wheel-dir {places}"
    return [f"{HARNESS}/ has no wheel, which the workflow and `make` need: {how}"]


def _left_alone(done: "Updated") -> list[str]:
    """What an update did not touch, a line each."""
    return [
        *(
            f"kept as you changed it: {path}: what bench would write is beside it, {beside}"
            for path, beside in done.kept.items()
        ),
        *(f"removed by you, and left so: {path}" for path in done.gone),
        *(f"not touched, a link or a file is on the way to it: {path}" for path in done.elsewhere),
    ]


def _next(options: InitOptions, plan: "ProjectPlan") -> list[str]:
    """The commands that lead to a report, as they work where this one was typed."""
    first, folder = next(iter(plan.strategies)), shlex.quote(str(options.folder))
    bench = called()
    modelkit = bench.replace("bench", "modelkit")
    if own_distribution() is not None:
        bench, modelkit = _on_path(bench), _on_path(modelkit)
        steps = [] if options.folder.resolve() == Path.cwd() else [f"cd {folder}"]
        root, place, model, readme = "", ".", "model", "README.md"
        run = "make bench" + ("" if bench == "bench" else f" BENCH={shlex.quote(bench)}")
    else:  # from the checkout's folder alone
        steps = []
        root, place, model = f" --root {folder}", folder, shlex.quote(str(options.folder / "model"))
        run, readme = f"{bench} run{root}", str(options.folder / "README.md")
    if not options.models:
        steps += [
            f"{modelkit} add FILE --name NAME --to {model}",
            f"{bench} init {place} --update --model {model}",
        ]
    steps += [f"{bench} requests {verb}{root} --strategy {first}" for verb in ("make", "record")]
    return [*steps, run, f"and {readme}"]


def _on_path(program: str) -> str:
    """The words that start it from any folder: its place, if the shell does not find this very program."""
    place = Path(sys.argv[0]).absolute().with_name(program)
    found = shutil.which(program)
    is_script = " " not in program and place.is_file()
    return shlex.quote(str(place)) if is_script and (found is None or not place.samefile(found)) else program


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
