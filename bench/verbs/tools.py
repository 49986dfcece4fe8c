"""The verbs beside measuring: report, ceiling, doctor and worker."""

import argparse
from dataclasses import replace
from pathlib import Path

from bench.cores import choose_cores, pin
from bench.errors import InvalidRunError
from bench.measure.payloads import common_model, payload_sets, read_images
from bench.measure.plan import USUAL_CLIENTS
from bench.measure.registry import load_registry
from bench.model import Ceiling, ClosedLoad, Payload

CEILING_WARMUP_S, CEILING_WINDOW_S = 1.0, 5.0
CEILING_HEADER = (
    "payloads  body bytes       ours, requests/s  CPU-ms  plain Locust  CPU-ms  ab -k  CPU-ms  "
    "ours to plain, to ab"
)


def report(folder: Path) -> int:
    """Write the report of a run's folder again and print its summary."""
    from bench.report import terminal_summary, write_report
    from bench.run_file import read_run

    found = read_run(folder)
    write_report(folder)
    print(terminal_summary(found))
    print_paths(folder)
    return 0


def print_paths(folder: Path) -> None:
    """Say where report and pictures are."""
    print(f"\nreport  {folder / 'report.md'}")
    for plot in sorted(folder.rglob("*.png")):
        print(f"plot    {plot}")


def doctor(args: argparse.Namespace) -> int:
    """Print what will spoil a measurement here; InvalidRunError where something would."""
    from bench.doctor import examine, render, spoils

    cores = choose_cores(args.driver_cores, args.service_cores)
    findings = examine(args.root, cores, quick=args.quick)
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
