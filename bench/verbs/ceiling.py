"""`bench ceiling`: what the driver itself can do, against a target that answers at once."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.model import USUAL_CLIENTS, Ceiling, ClosedLoad, Payload
from bench.model.expectations import LabelExpectation
from bench.verbs.argument_types import body_bytes, positives
from bench.verbs.arguments import add_payloads

WARMUP_S, WINDOW_S = 1.0, 5.0
HEADER = (
    "payloads  body bytes       ours, requests/s  CPU-ms  plain Locust  CPU-ms  ab -k  CPU-ms  "
    "ours to plain, to ab"
)


@dataclass(frozen=True, slots=True)
class CeilingOptions:
    """What is driven: requests of these classes and encodings, or one body of `body_bytes`."""

    payloads: tuple[str, ...]
    encodings: tuple[str, ...]
    body_bytes: int | None
    clients: int
    window_s: float
    seed: int
    root: Path
    requests: Path | None
    service_cores: str | None
    driver_cores: str | None


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ceiling`."""
    add_payloads(parser, f"{WINDOW_S:g}")
    parser.add_argument(
        "--concurrency", type=positives, metavar="N", help="clients; of several the most (50)"
    )
    parser.add_argument(
        "--bytes",
        type=body_bytes,
        metavar="N",
        help="drive one made-up body of N bytes instead of the requests",
    )


def read(args: argparse.Namespace, _: Sequence[str]) -> CeilingOptions:
    """The options of `ceiling`."""
    return CeilingOptions(
        payloads=args.payloads,
        encodings=args.encoding,
        body_bytes=args.bytes,
        clients=max(args.concurrency or (USUAL_CLIENTS,)),
        window_s=args.window_s or WINDOW_S,
        seed=args.seed,
        root=args.root,
        requests=args.requests,
        service_cores=args.service_cores,
        driver_cores=args.driver_cores,
    )


def do(options: CeilingOptions) -> int:
    """Print what the driver can do at most, for each class of payloads."""
    from bench.cores import choose_cores, pin
    from bench.load.ceiling import measure_ceiling

    cores = choose_cores(options.driver_cores, options.service_cores)
    load = ClosedLoad(options.clients, WARMUP_S, options.window_s)
    sets = _made_up(options.body_bytes) if options.body_bytes else _payloads(options)
    pin(cores.driver)
    print(HEADER)
    for (name, _), payloads in sets.items():
        ceiling = measure_ceiling(payloads, load, cores.service, options.seed, plain=True)
        print(_line(name, len(payloads[0].body), ceiling))
    return 0


def _payloads(options: CeilingOptions) -> dict[tuple[str, str], tuple[Payload, ...]]:
    from bench.measure.payloads import common_model, payload_sets
    from bench.measure.runtime.registry import load_registry
    from bench.request_sets.reader import read_request_set
    from bench.request_sets.usual_folder import usual_folder
    from bench.verbs.jobs import say_what_is_missing

    requests = read_request_set(options.requests or usual_folder(options.root))
    registry = load_registry(options.root)
    say_what_is_missing(registry)
    model = common_model(registry.select(None), options.encodings)
    classes = options.payloads or requests.classes
    return payload_sets(requests.requests, classes, options.encodings, model)


def _made_up(size: int) -> dict[tuple[str, str], tuple[Payload, ...]]:
    """One class of four JSON bodies of `size` bytes."""
    frame = b'{"image":""}'
    body = frame[:-2] + b"A" * max(0, size - len(frame)) + frame[-2:]
    right = LabelExpectation("rime", {"rime": 1.0})
    payload = Payload("made-up", "made-up", "json", "application/json", body, right)
    return {("made-up", "json"): tuple(replace(payload, name=f"made-up-{n}") for n in range(4))}


def _line(name: str, size: int, ceiling: Ceiling) -> str:
    """The ceiling below HEADER."""
    plain, ab = ceiling.plain_throughput_rps, ceiling.ab_throughput_rps
    ratios = ", ".join(
        "n/a" if other is None else f"{ceiling.throughput_rps / other:.2f}" for other in (plain, ab)
    )
    cells = [
        f"{name:<8}  {size:>10}",
        f"{ceiling.throughput_rps:>16.0f}  {ceiling.driver_cpu_ms_per_request:>6.3f}",
        f"{_cell(plain, 0):>12}  {_cell(ceiling.plain_cpu_ms_per_request, 3):>6}",
        f"{_cell(ab, 0):>5}  {_cell(ceiling.ab_cpu_ms_per_request, 3):>6}",
        f"{ratios:>20}",
    ]
    return "  ".join(cells)


def _cell(value: float | None, decimals: int) -> str:
    return "n/a" if value is None else f"{value:.{decimals}f}"
