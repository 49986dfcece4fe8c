"""What each encoding of a request costs: interleaved windows of ApacheBench against a running service.

    python tools/compare_encodings.py http://127.0.0.1:8080 --image images/rime_01.jpg --rounds 10

The answer to every encoding is checked first. ApacheBench measures the throughput; the CPU time comes from
the service's metrics. With --against URL, each encoding is compared with that of another service.
"""

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.statistics import Comparison, paired_ratio

JSON, OCTETS = "application/json", "application/octet-stream"
LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/weather/infer"


@dataclass(frozen=True, slots=True)
class EncodedRequest:
    """One image in one encoding; the right answer contains `expects`."""

    path: str
    content_type: str
    headers: Mapping[str, str]
    body: bytes
    expects: bytes


@dataclass(frozen=True, slots=True)
class MeasuredWindow:
    """The figures of one window of load."""

    throughput_rps: float
    cpu_ms_per_request: float


def encodings(image: bytes, label: str) -> dict[str, EncodedRequest]:
    """Return the requests to compare; the first is the base of the comparison."""
    text = base64.b64encode(image).decode()
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    in_json = {**tensor, "parameters": {"content_type": "base64"}, "data": [text]}
    in_binary = {**tensor, "parameters": {"binary_data_size": len(image) + 4}}
    binary = {"inputs": [in_binary], "parameters": {"binary_data_output": True}}
    head = json.dumps(binary).encode()
    predicted, named = f'"prediction":"{label}"'.encode(), f'["{label}"]'.encode()
    sized = len(image).to_bytes(4, "little") + image
    return {
        "JSON base64": EncodedRequest("/predict/", JSON, {}, json.dumps({"image": text}).encode(), predicted),
        "image itself": EncodedRequest("/predict/", OCTETS, {}, image, predicted),
        "OIP JSON base64": EncodedRequest(INFER, JSON, {}, json.dumps({"inputs": [in_json]}).encode(), named),
        "OIP binary": EncodedRequest(INFER, OCTETS, {LENGTH: str(len(head))}, head + sized, label.encode()),
        "OIP raw": EncodedRequest(INFER, OCTETS, {LENGTH: "0"}, image, label.encode()),
    }


def check(url: str, name: str, request: EncodedRequest) -> None:
    """End the program unless the answer is right."""
    headers = {"Content-Type": request.content_type, **request.headers}
    asked = urllib.request.Request(url + request.path, request.body, headers)  # noqa: S310 - the user names the address
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - the user names the address
            if request.expects not in answer.read():
                sys.exit(f"{name}: {url} answers wrongly: nothing was measured")
    except (OSError, ValueError) as error:
        sys.exit(f"{name}: {url}{request.path}: {error}: start the service, or give its address")


def cpu_seconds(url: str) -> float:
    """Return the CPU seconds that the service has used."""
    with urllib.request.urlopen(url + "/metrics", timeout=30) as answer:  # noqa: S310 - the user names the address
        match = re.search(rb"^process_cpu_seconds_total ([\d.e+]+)", answer.read(), re.MULTILINE)
    if match is None:
        sys.exit(f"{url}/metrics has no process_cpu_seconds_total: compare services of one worker process")
    return float(match[1])


def window(url: str, request: EncodedRequest, clients: int, seconds: int) -> MeasuredWindow:
    """Offer load for some seconds; end the program if an answer is a refusal."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        words = ["ab", "-q", "-k", "-c", str(clients), "-t", str(seconds), "-n", "10000000", "-p", body.name]
        words += ["-T", request.content_type]
        words += [word for name, value in request.headers.items() for word in ("-H", f"{name}: {value}")]
        before = cpu_seconds(url)
        done = subprocess.run([*words, url + request.path], capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        used = cpu_seconds(url) - before
    count = re.search(r"Complete requests:\s+(\d+)", done.stdout)
    rate = re.search(r"Requests per second:\s+([\d.]+)", done.stdout)
    if done.returncode or count is None or rate is None or "Non-2xx" in done.stdout:
        sys.exit(f"ab {request.path}: {done.stderr.strip() or 'not every answer was 200'}")
    return MeasuredWindow(float(rate[1]), 1000 * used / int(count[1]))


def row(name: str, windows: Mapping[int, MeasuredWindow], base: Mapping[int, MeasuredWindow]) -> str:
    """Return a row of the table: the medians, and the ratios to the base, paired by round."""
    rates = sorted(one.throughput_rps for one in windows.values())
    costs = sorted(one.cpu_ms_per_request for one in windows.values())
    middle = len(rates) // 2
    throughput = paired_ratio(
        {number: one.throughput_rps for number, one in base.items()},
        {number: one.throughput_rps for number, one in windows.items()},
    )
    cost = paired_ratio(
        {number: one.cpu_ms_per_request for number, one in base.items()},
        {number: one.cpu_ms_per_request for number, one in windows.items()},
    )
    return f"| {name} | {rates[middle]:.0f} | {costs[middle]:.2f} | {shown(throughput)} | {shown(cost)} |"


def shown(ratio: Comparison | None) -> str:
    """Return a ratio, with its interval if it has an interval."""
    if ratio is None:
        return "n/a"
    interval = "" if ratio.low is None else f" ({ratio.low:.3f} to {ratio.high:.3f})"
    return f"{ratio.ratio:.3f}{interval}"


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="the service, such as http://127.0.0.1:8080")
    parser.add_argument("--against", help="another service, whose encodings are the base of the comparison")
    parser.add_argument("--image", type=Path, default=Path("images/rime_01.jpg"), help="from the image set")
    parser.add_argument("--only", help="encodings to compare, separated by commas (default: all)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=3, help="length of a window")
    parser.add_argument("--clients", type=int, default=50)
    given = parser.parse_args()
    if shutil.which("ab") is None:
        sys.exit("ab is not installed: install apache2-utils")
    entries = json.loads((given.image.parent / "manifest.json").read_text(encoding="utf-8"))["requests"]
    label = next(entry["expect"]["label"] for entry in entries if entry["name"] == given.image.name)
    requests = encodings(given.image.read_bytes(), label)
    if given.only:
        requests = {name: requests[name] for name in given.only.split(",")}
    urls = [given.url] if given.against is None else [given.against, given.url]
    cases = [(url, name) for url in urls for name in requests]
    for url, name in cases:
        check(url, name, requests[name])
        window(url, requests[name], given.clients, 1)
    windows: dict[tuple[str, str], dict[int, MeasuredWindow]] = {case: {} for case in cases}
    chance = Random(1)  # noqa: S311 - a repeatable order, not a secret
    for number in range(given.rounds):
        for url, name in chance.sample(cases, len(cases)):
            windows[url, name][number] = window(url, requests[name], given.clients, given.seconds)
    base = "that of the other service" if given.against else next(iter(requests))
    print(f"| encoding | requests/s | CPU-ms per request | throughput to {base} | CPU to {base} |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in requests:
        other = (given.against, name) if given.against else cases[0]
        print(row(name, windows[given.url, name], windows[other]))


if __name__ == "__main__":
    main()
