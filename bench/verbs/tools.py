"""The verbs beside measuring: report, compare, index, ceiling, doctor and worker."""

import argparse
import dataclasses
import json
from dataclasses import replace
from pathlib import Path

from bench.cores import choose_cores, pin
from bench.errors import InvalidRunError
from bench.measure.payloads import common_model, payload_sets, read_images
from bench.measure.plan import USUAL_CLIENTS
from bench.measure.runtime.registry import load_registry
from bench.model import Ceiling, ClosedLoad, Payload, Run

CEILING_WARMUP_S, CEILING_WINDOW_S = 1.0, 5.0
CEILING_HEADER = (
    "payloads  body bytes       ours, requests/s  CPU-ms  plain Locust  CPU-ms  ab -k  CPU-ms  "
    "ours to plain, to ab"
)


def report(args: argparse.Namespace) -> int:
    """Write the report of a run's folder again and print its summary, or print one format of it alone."""
    from bench.run_file import read_run

    found = read_run(args.folder)
    if args.format is None:
        tell_of(found, args.folder, as_json=args.json)
        return 0
    from bench.analysis.run_analysis import analyse
    from bench.report.exports import EXPORTS

    print(EXPORTS[args.format](analyse(found, args.folder)), end="")
    return 0


def tell_of(run: Run, folder: Path, *, as_json: bool) -> None:
    """Write a run's report and print its summary: a table and the paths, or one JSON document."""
    from bench.report import terminal_summary, write_report
    from bench.report.json_summary import summary_json

    written = write_report(folder)
    if as_json:
        files = [path.relative_to(folder).as_posix() for path in written]
        print(json.dumps(summary_json(run, folder.name, files), indent=1, allow_nan=False))
        return
    print(terminal_summary(run))
    print_paths(folder)


def compare(args: argparse.Namespace) -> int:
    """Print two runs beside each other."""
    from bench.report.between import RENDERERS, compare_runs
    from bench.run_file import read_run

    found = compare_runs(read_run(args.base), read_run(args.head), args.base.name, args.head.name)
    print(RENDERERS["json" if args.json else args.format](found), end="", flush=True)
    if not found.judges:
        raise InvalidRunError("nothing of the two runs can be compared: the lines above say why")
    return 0


def index(folder: Path) -> int:
    """Write the page over a folder of runs."""
    from bench.report.index import write_index

    print(f"index   {write_index(folder)}")
    return 0


def print_paths(folder: Path) -> None:
    """Say where report and pictures are."""
    print(f"\npage    {folder / 'report.html'}")
    print(f"report  {folder / 'report.md'}")
    for plot in sorted(folder.rglob("*.png")):
        print(f"plot    {plot}")


def doctor(args: argparse.Namespace) -> int:
    """Print what will spoil a measurement here; InvalidRunError where something would."""
    from bench.doctor import examine, render, spoils

    cores = choose_cores(args.driver_cores, args.service_cores)
    findings = examine(args.root, cores, quick=args.quick)
    if args.json:
        told = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"schema": 1, "fit": not spoils(findings), "findings": told}, indent=1), flush=True)
    else:
        print(render(findings), end="", flush=True)
    if spoils(findings):
        raise InvalidRunError("this machine is not fit to measure: the table says what to do first")
    return 0


def worker(args: argparse.Namespace) -> int:
    """Drive load for a run on another host, trial after trial, until Ctrl-C."""
    from bench.load.worker import serve

    serve(args.master, args.port)
    return 0


def ceiling(args: argparse.Namespace) -> int:
    """Print what the driver can do at most, per payload class."""
    from bench.load.ceiling import measure_ceiling

    cores = choose_cores(args.driver_cores, args.service_cores)
    load = ClosedLoad(
        max(args.concurrency or (USUAL_CLIENTS,)), CEILING_WARMUP_S, args.window_s or CEILING_WINDOW_S
    )
    sets = _made_up(args.bytes) if args.bytes else _payloads(args)
    pin(cores.driver)
    print(CEILING_HEADER)
    for (name, _), payloads in sets.items():
        found = measure_ceiling(payloads, load, cores.service, args.seed, plain=True)
        print(_ceiling_line(name, len(payloads[0].body), found))
    return 0


def _payloads(args: argparse.Namespace) -> dict[tuple[str, str], tuple[Payload, ...]]:
    images = read_images(args.images or args.root / "images")
    model = common_model(load_registry(args.root).select(None), args.encoding)
    return payload_sets(images, args.payloads, args.encoding, model)


def _made_up(size: int) -> dict[tuple[str, str], tuple[Payload, ...]]:
    """One class of four JSON bodies of `size` bytes."""
    frame = b'{"image":""}'
    body = frame[:-2] + b"A" * max(0, size - len(frame)) + frame[-2:]
    payload = Payload("made-up", "made-up", "json", "application/json", body, "rime", {"rime": 1.0})
    return {("made-up", "json"): tuple(replace(payload, file=f"made-up-{n}") for n in range(4))}


def _ceiling_line(name: str, size: int, found: Ceiling) -> str:
    plain, ab = found.plain_throughput_rps, found.ab_throughput_rps
    ratios = ", ".join(
        "n/a" if other is None else f"{found.throughput_rps / other:.2f}" for other in (plain, ab)
    )
    cells = [
        f"{name:<8}  {size:>10}",
        f"{found.throughput_rps:>16.0f}  {found.driver_cpu_ms_per_request:>6.3f}",
        f"{_cell(plain, 0):>12}  {_cell(found.plain_cpu_ms_per_request, 3):>6}",
        f"{_cell(ab, 0):>5}  {_cell(found.ab_cpu_ms_per_request, 3):>6}",
        f"{ratios:>20}",
    ]
    return "  ".join(cells)


def _cell(value: float | None, decimals: int) -> str:
    return "n/a" if value is None else f"{value:.{decimals}f}"
