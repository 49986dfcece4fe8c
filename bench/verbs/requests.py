"""`bench requests`: make a request set from a model's signature or from files, record what must come back."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.model import USUAL_TOLERANCE
from bench.model.expectations import USUAL_ATOL, USUAL_RTOL
from bench.model.how_to_compare import USUAL_K, WAYS, HowToCompare
from bench.request_sets.usual_folder import REQUESTS
from bench.verbs.argument_types import (
    distance,
    input_ranges,
    input_sizes,
    json_pointer,
    name,
    path,
    payload_class,
    positive,
    seed,
)
from bench.verbs.arguments import HostOptions, add_host, add_requests, add_root, read_host
from bench.verbs.attached_arguments import AttachedService
from bench.verbs.model_path import model_path
from bench.verbs.one_service import add_service, model_of, read_service

USUAL_COUNT = 64
# of a running service, which states none
USUAL_ENCODING = "json"


@dataclass(frozen=True, slots=True)
class MakeOptions:
    """Whose signature is drawn from, a strategy's or a running service's; how much, and where it goes."""

    source: str | AttachedService
    host: HostOptions
    count: int
    seed: int
    ranges: dict[str, tuple[tuple[float, float], ...]]
    sizes: dict[str, tuple[tuple[int, ...], ...]]
    out: Path
    force: bool


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """Which files become requests, and where the set goes."""

    source: Path
    input_name: str
    request_class: str
    out: Path
    force: bool


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Whose answers to which set, in which encoding, are right, and how answers are compared with them."""

    source: str | AttachedService
    host: HostOptions
    requests: Path | None
    encoding: str | None
    how: HowToCompare


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `requests`, each with its arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name_of_it, action in ACTIONS.items():
        action.declare(actions.add_parser(name_of_it, allow_abbrev=False, help=action.words))


def read(args: argparse.Namespace, _: Sequence[str]) -> Any:
    """The options of the action."""
    return ACTIONS[args.action].read(args)


def do(options: MakeOptions | FilesOptions | RecordOptions) -> int:
    """Do what the action does; raises UsageError, and InvalidRunError for a reference not to be believed."""
    match options:
        case MakeOptions():
            return _make(options)
        case FilesOptions():
            return _from_files(options)
        case RecordOptions():
            return _record(options)


def _add_make(parser: argparse.ArgumentParser) -> None:
    add_service(
        parser,
        "draw for the model of this strategy",
        "draw for the model of a running service: http://HOST:PORT/v2/models/MODEL",
    )
    add = parser.add_argument
    add("--count", type=positive, default=USUAL_COUNT, metavar="N", help=f"requests ({USUAL_COUNT})")
    add("--seed", type=seed, default=1, metavar="N", help="seed of what is drawn (1)")
    add(
        "--range",
        type=input_ranges,
        action="append",
        default=[],
        metavar="INPUT=LOW:HIGH",
        help="an input's floats are from LOW to HIGH (normal), its whole numbers below HIGH (found by "
        "asking, 1000 at most); several, for columns, with commas",
    )
    add(
        "--sizes",
        type=input_sizes,
        action="append",
        default=[],
        metavar="INPUT=N,...",
        help="sizes of an input's axes that vary, or a text's words, or a picture's as 320x240: a class of "
        "requests each (8,64)",
    )
    _add_out(parser)
    add_host(parser)


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "source",
        type=path,
        metavar="FILES",
        help="a folder of pictures, lines of JSON (.jsonl), or arrays (.npz) whose first axis is the request",
    )
    add("--input", type=name, default="image", metavar="NAME", help="the input that a picture is (image)")
    add(
        "--class",
        type=payload_class,
        default="default",
        dest="request_class",
        metavar="NAME",
        help="class of the requests (default); pictures in a folder of the folder have its name",
    )
    add_root(parser)
    _add_out(parser)


def _add_record(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_service(
        parser,
        "the strategy whose answers are right",
        "the address of a running service whose answers are right, such as http://127.0.0.1:9000/predict",
    )
    add_requests(parser)
    add("--encoding", type=name, metavar="A", help="how tensors are sent (the first that the strategy takes)")
    *ways, last = WAYS
    add(
        "--compare",
        choices=WAYS,
        metavar="WAY",
        help=f"how answers are compared: {', '.join(ways)} or {last} (as fits the answer)",
    )
    add("--tolerance", type=distance, metavar="X", help="of probabilities and of JSON's numbers, absolute")
    add("--rtol", type=distance, metavar="X", help=f"of tensors, relative ({USUAL_RTOL:g})")
    add("--atol", type=distance, metavar="X", help=f"of tensors, absolute ({USUAL_ATOL:g})")
    add("--top", type=positive, default=USUAL_K, metavar="K", help=f"classes of --compare top-k ({USUAL_K})")
    add(
        "--ignore",
        type=json_pointer,
        action="append",
        default=[],
        metavar="POINTER",
        help="a place of a JSON answer that does not count, such as /id or /items/*/id",
    )
    add_host(parser)


def _add_out(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=path, metavar="DIR", help=f"where the set goes ({REQUESTS}/ of the root)")
    add("--force", action="store_true", help="replace the request set that is there")


def _read_make(args: argparse.Namespace) -> MakeOptions:
    return MakeOptions(
        source=read_service(args),
        host=read_host(args),
        count=args.count,
        seed=args.seed,
        ranges=_once("--range", args.range),
        sizes=_once("--sizes", args.sizes),
        out=args.out or args.root / REQUESTS,
        force=args.force,
    )


def _read_files(args: argparse.Namespace) -> FilesOptions:
    out = args.out or args.root / REQUESTS
    return FilesOptions(args.source, args.input, args.request_class, out, args.force)


def _read_record(args: argparse.Namespace) -> RecordOptions:
    how = HowToCompare(args.compare, args.tolerance, args.rtol, args.atol, args.top, tuple(args.ignore))
    return RecordOptions(read_service(args), read_host(args), args.requests, args.encoding, how)


def _once(option: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [one for one, _ in pairs]
        twice = next(one for one in names if names.count(one) > 1)
        raise UsageError(f"{option} names {twice} twice: name each input once")
    return found


@dataclass(frozen=True, slots=True)
class Action:
    """What an action does, in its line of --help, how its arguments are declared and how they are read."""

    words: str
    declare: Callable[[argparse.ArgumentParser], None]
    read: Callable[[argparse.Namespace], MakeOptions | FilesOptions | RecordOptions]


ACTIONS: dict[str, Action] = {
    "make": Action("draw inputs from the signature that a running service states", _add_make, _read_make),
    "from-files": Action("take pictures, lines of JSON or NumPy arrays", _add_files, _read_files),
    "record": Action("record a strategy's answers as what must come back", _add_record, _read_record),
}


def _make(options: MakeOptions) -> int:
    from bench.request_sets.draft import read_draft, require_place, write_draft
    from bench.request_sets.drawing import Wishes, check_wishes, draw
    from bench.request_sets.found_bounds import found_bounds

    require_place(options.out, force=options.force)
    wishes = Wishes(options.ranges, options.sizes)
    with _service(options) as service:
        model = service.stated_model()
        check_wishes(model, wishes)
        bounds = found_bounds(model, options.seed, wishes, service.computes)
        for one, bound in bounds.items():
            _say(options.host, f"{one} is drawn from 0 to {bound - 1}, as found by asking: see --range")
        ranges = {one: ((0.0, float(bound)),) for one, bound in bounds.items()}
        draft = draw(model, options.count, options.seed, replace(wishes, ranges={**wishes.ranges, **ranges}))
        service.require_computes(read_draft(draft).requests)
    write_draft(draft, options.out, force=options.force)
    _tell(options.out, draft.classes())
    return 0


@contextmanager
def _service(options: MakeOptions) -> Iterator[Any]:
    """The service whose model is drawn for."""
    from bench.verbs.asking import hosted, running

    if isinstance(options.source, AttachedService):
        yield running(options.source, model_of(options.source))
        return
    with hosted(options.source, options.host) as (_, copies), copies() as service:
        yield service


def _from_files(options: FilesOptions) -> int:
    from bench.request_sets.draft import read_draft, require_place, write_draft
    from bench.request_sets.from_files import FromFiles, made_of

    require_place(options.out, force=options.force)
    made = made_of(FromFiles(options.source, options.input_name, options.request_class))
    if made.left_out:
        sys.stderr.write(f"bench: {made.left_out}\n")
    read_draft(made.draft)
    write_draft(made.draft, options.out, force=options.force)
    _tell(options.out, made.draft.classes())
    return 0


def _record(options: RecordOptions) -> int:
    from bench.request_sets.reader import read_request_set
    from bench.request_sets.rewriting import read_manifest, rewrite, with_expectations
    from bench.verbs.reference import ask_twice, blind, require_used, told

    if options.how.compare is not None:
        require_used(options.how, {options.how.compare})
    folder = options.requests or options.host.root / REQUESTS
    if options.requests is None and not folder.is_dir():
        # the other usual folder, images/, has answers of a reference: nobody replaces them unnamed
        raise UsageError(f"there is no {folder}: make a request set, or name one with --requests")
    requests = read_request_set(folder).requests
    manifest = read_manifest(folder)
    with _reference(options) as (strategy, copies):
        found = ask_twice(copies, strategy, requests, options.encoding, options.how)
    for one in blind(requests, strategy, options.encoding, options.how, found):
        sys.stderr.write(f"bench: {one.told}: {one.remedy}\n")
    rewrite(with_expectations(manifest, {one: each.expect for one, each in found.items()}), folder)
    print(f"{folder}: {told(found.values())}, as {strategy.name} answers")
    return 0


@contextmanager
def _reference(options: RecordOptions) -> Iterator[tuple[Any, Any]]:
    """The strategy whose answers are right, and its copies."""
    from bench.request_sets.encodings import known
    from bench.verbs.asking import always, hosted, running
    from bench.verbs.attached_strategies import attached_strategy

    if isinstance(options.source, AttachedService):
        encodings = known((options.encoding or USUAL_ENCODING,))
        strategy = attached_strategy(options.source, encodings, USUAL_TOLERANCE)
        yield strategy, always(running(options.source, model_path(options.source.url.path)))
        return
    with hosted(options.source, options.host) as reference:
        yield reference


def _tell(folder: Path, classes: dict[str, int]) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in classes.items())
    print(
        f"{folder}: {sum(classes.values())} requests ({counts}); what must come back is not recorded yet: "
        "`python -m bench requests record` does that"
    )


def _say(host: HostOptions, text: str) -> None:
    if not host.quiet:
        sys.stderr.write(f"bench: {text}\n")
