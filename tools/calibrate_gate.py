"""How often does the gate raise a false alarm, and which regressions does it find? Real gates in a clone.

python tools/calibrate_gate.py [--equal 20] [--slower 10] [--strategy onnx] [--out FOLDER] [--fresh]

In a clone of this repository a commit is gated against itself (`--equal` times). Then a commit is gated whose
engine spins for 15% of a request's CPU time after each batch (`--slower` times), and a commit whose image is
5 MB larger (once, with limits alone). The folder of every gate is kept in --out. A line is printed when a
gate ends, and at the end a line for each planted change. Without --fresh, gates in the folder are not run
again.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SLOWER = 0.15
MORE_BYTES = 5_000_000
ENGINES = {"onnx": "onnx_serving", "torch": "torch_serving", "batched": "batched_serving"}
SPIN = """

def spin(rounds: int) -> None:
    \"\"\"Waste time, to calibrate the gate.\"\"\"
    for _ in range(rounds):
        pass
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gates and print their verdicts; return 1 if a verdict is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--equal", type=int, default=20, help="gates of a commit against itself")
    parser.add_argument("--slower", type=int, default=10, help="gates of a commit that is 15%% slower")
    parser.add_argument("--strategy", choices=ENGINES, default="onnx")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gates", help="the gates' folders")
    parser.add_argument("--fresh", action="store_true", help="run every gate again")
    options = parser.parse_args(arguments)
    if options.fresh:
        shutil.rmtree(options.out, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="gates-") as scratch:
        clone = Path(scratch) / "clone"
        run("git", "clone", "--quiet", str(ROOT), str(clone))
        set_apart(clone)
        gates = list(made(options, clone))
    return summary(gates)


def made(options: argparse.Namespace, clone: Path) -> Iterator[dict[str, Any]]:
    """Yield each gate's judgement, with the planted change and the gate's duration."""
    only = ("--strategies", options.strategy)
    series = Series(options.out, clone)
    for number in range(options.equal):
        yield series.gate(f"equal-{number + 1:02d}", "HEAD", *only)
    if options.slower:
        spin_rounds = spins(cpu_ms(options.out))
        plant_spin(clone, ENGINES[options.strategy], spin_rounds)
        series = Series(options.out, clone)
        for number in range(options.slower):
            yield series.gate(f"slower-{number + 1:02d}", "HEAD~1", *only)
        run("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=clone)
    plant_bytes(clone, ENGINES[options.strategy])
    yield Series(options.out, clone).gate(
        "larger-01", "HEAD~1", *only, "--deterministic", "--rounds", "1", "--window-s", "2"
    )


class Series:
    """Gates of the same two commits: the first gate builds the images, the others reuse them."""

    def __init__(self, out: Path, clone: Path) -> None:
        self._out, self._clone, self._built = out, clone, False

    def gate(self, name: str, ref: str, *more: str) -> dict[str, Any]:
        """Return a gate's judgement; runs the gate unless its folder exists; raises SystemExit on failure."""
        place, begun = self._out / name, time.monotonic()
        if not (place / "gate.json").is_file():
            self._make(place, ref, *more)
        judgement: dict[str, Any] = json.loads((place / "gate.json").read_text(encoding="utf-8"))
        seconds = time.monotonic() - begun
        print(f"{name}: {judgement['verdict']}, {seconds:.0f} s: {judgement['sentence']}", flush=True)
        return {**judgement, "planted": name.rpartition("-")[0], "seconds": seconds}

    def _make(self, place: Path, ref: str, *more: str) -> None:
        shutil.rmtree(place, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="gate-") as results:
            command = [
                sys.executable,
                "-m",
                "bench",
                "gate",
                "--against",
                ref,
                "--root",
                str(self._clone),
                *more,
            ]
            command += ["--results", results, "--quiet", "--no-build" if self._built else "--build"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
            if done.returncode in (1, 2):
                raise SystemExit(f"{place.name}: {done.stderr.strip()}")
            (folder,) = Path(results).iterdir()
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(folder, place, ignore=shutil.ignore_patterns("samples"))
        self._built = True


def set_apart(clone: Path) -> None:
    """Give the clone's containers, images and ports names that nothing else on this machine uses."""
    file = clone / "compose.yaml"
    text = file.read_text(encoding="utf-8").replace("model-serving-bench", "gate-calibration")
    file.write_text(re.sub(r"(_PORT:-)80", r"\g<1>180", text), encoding="utf-8")
    commit(clone, "Stand apart")


def cpu_ms(out: Path) -> float:
    """Return CPU milliseconds per request, the median over the trials of the gates of equal commits."""
    trials = [
        trial["cpu_ms_per_request"]
        for file in sorted(out.glob("equal-*/run.json"))
        for trial in json.loads(file.read_text(encoding="utf-8"))["trials"]
        if trial["cpu_ms_per_request"]
    ]
    if not trials:
        raise SystemExit("gates of equal commits say how much CPU time 15% is: run --equal 1 at least")
    return float(statistics.median(trials))


def spins(ms_a_request: float) -> int:
    """Return how many rounds of the planted loop take 15% of a request's time on this machine now."""
    namespace: dict[str, Any] = {}
    exec(SPIN, namespace)  # noqa: S102 - the same code that is planted
    rounds, taken_s = 1_000_000, []
    for _ in range(20):
        begun = time.process_time()
        namespace["spin"](rounds)
        taken_s.append(time.process_time() - begun)
    return round(SLOWER * ms_a_request / 1e3 / (statistics.median(taken_s) / rounds))


def plant_spin(clone: Path, package: str, rounds: int) -> None:
    """Commit a `predict` that spins for each item after it has computed."""
    file = clone / package / "engine.py"
    text = file.read_text(encoding="utf-8")
    before, returned, after = text.rpartition("        return logits\n")
    if not returned:
        raise SystemExit(f"{package}/engine.py has no `return logits`: plant the loop elsewhere")
    file.write_text(f"{before}        spin({rounds} * len(batch))\n{returned}{after}{SPIN}", encoding="utf-8")
    commit(clone, "Spin")


def plant_bytes(clone: Path, package: str) -> None:
    """Commit a file of 5 MB that becomes part of the image."""
    (clone / package / "more.bin").write_bytes(bytes(range(250)) * (MORE_BYTES // 250))
    commit(clone, "Carry five megabytes")


def commit(clone: Path, message: str) -> None:
    """Commit all files, with no person's name."""
    nobody = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    run("git", "add", "--all", cwd=clone)
    run("git", *nobody, "commit", "--quiet", "--message", message, cwd=clone)


def run(*command: str, cwd: Path = ROOT) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, cwd=cwd, check=True)  # noqa: S603 - commands of our own


def summary(gates: Sequence[dict[str, Any]]) -> int:
    """Print a line for each planted change; return 1 after a false alarm, or if too few changes were seen."""
    short = False
    for planted in dict.fromkeys(gate["planted"] for gate in gates):
        of = [gate for gate in gates if gate["planted"] == planted]
        verdicts = Counter(gate["verdict"] for gate in of)
        ratios = [f["comparison"]["ratio"] for gate in of for f in gate["findings"] if f["comparison"]]
        middle = f", median ratio {statistics.median(ratios):.3f}" if ratios else ""
        seconds = statistics.median(gate["seconds"] for gate in of)
        words = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        print(f"{planted}: {len(of)} gates: {words}{middle}, {seconds:.0f} s each")
        if planted == "equal":
            # a gate without a verdict raised no false alarm, and shows nothing either
            short |= verdicts["regression"] > 0 or verdicts["invalid"] > 0.1 * len(of)
        else:
            short |= verdicts["regression"] < 0.9 * len(of)
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
