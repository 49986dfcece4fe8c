"""A run's folder that is damaged, or that somebody else made, costs one line: no traceback, no hang."""

import contextlib
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.analysis.responses import read_responses
from bench.analysis.run_analysis import analyse
from bench.cli import main
from bench.errors import BenchError, UsageError
from bench.model import Run
from bench.report.formats import PRINTED, WRITTEN
from bench.report.index import make_index
from bench.report.report import report_of
from bench.run_file import FILE_NAME, read_run, write_run
from tests.gate.runs import EQUAL, run_of

ROOT = Path(__file__).parents[2]
SEED_RUN = ROOT / "results/20261124T181258Z-e214b0c"


def written(folder: Path) -> dict[str, object]:
    write_run(run_of({"onnx": EQUAL}), folder)
    found: dict[str, object] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    return found


def content(changes: dict[str, object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        raw = written(path.parent)
        raw["trials"][0].update(changes.get("trial", {}))  # type: ignore[index]  # a list of trials
        others = {name: value for name, value in changes.items() if name != "trial"}
        path.write_text(json.dumps({**raw, **others}))

    return make


def doubled(path: Path) -> None:
    text = json.dumps(written(path.parent))
    path.write_text(text.replace('"runtime":', '"runtime": "a", "runtime":', 1))


def huge(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 300 * 1024 * 1024)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "lists without end": lambda path: path.write_text("[" * 10_000),
    "objects without end": lambda path: path.write_text('{"a":' * 100_000),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to("gone"),
    "nothing": lambda _: None,
    "an empty file": lambda path: path.write_bytes(b""),
    "half a file": lambda path: path.write_bytes((SEED_RUN / FILE_NAME).read_bytes()[:9000]),
    "more than a run": huge,
    "a byte order mark": lambda path: path.write_bytes(b"\xef\xbb\xbf{}"),
    "UTF-16": lambda path: path.write_text("{}", encoding="utf-16"),
    "Latin-1": lambda path: path.write_bytes('{"created": "é"}'.encode("latin-1")),
    "a lone surrogate": lambda path: path.write_text('{"created": "\\ud800"}'),
    "no number": lambda path: path.write_text('{"a": NaN}'),
    "a number without end": lambda path: path.write_text('{"schema_version": ' + "9" * 10_000 + "}"),
    "an exponent without end": lambda path: path.write_text('{"schema_version": 4, "a": 1e999}'),
    "a name twice": doubled,
    "a schema to come": content({"schema_version": 99}),
    "a schema that is true": content({"schema_version": True}),
    "a schema that is text": content({"schema_version": "4\n\x1b[31m" + "x" * 5000}),
    "a window of nothing": content({"trial": {"window_s": 0.0}}),
    "a window of ages": content({"trial": {"window_s": 1e300}}),
    "a warm-up before time": content({"trial": {"warmup_s": -1.0}}),
    "fewer than no requests": content({"trial": {"requests": -5}}),
    "more than can be counted": content({"trial": {"ok": 2**60}}),
    "a whole number beyond all": content({"planned_trials": 10**30}),
    "samples elsewhere": content({"trial": {"samples": "../../secret"}}),
    "samples at the root": content({"trial": {"samples": "/etc/passwd"}}),
    "another type": content({"trials": {}}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_one_line_with_a_remedy_for_every_verb(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    DAMAGE[damage](folder / FILE_NAME)
    other = str(SEED_RUN)
    for words in (["report", str(folder)], ["compare", other, str(folder)], ["run", "--resume", str(folder)]):
        assert main(words) == 2, words
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.count("\n") == 1
        assert told.err.startswith("bench: ")
        assert told.err[:-1].isprintable()
        assert str(tmp_path) not in told.err
        assert len(told.err) < 600


def test_the_index_goes_on_with_the_other_runs_and_says_which_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good").mkdir()
    write_run(run_of({"onnx": EQUAL}), tmp_path / "good")
    for number, damage in enumerate(DAMAGE):
        (tmp_path / f"bad-{number:02}").mkdir()
        DAMAGE[damage](tmp_path / f"bad-{number:02}" / FILE_NAME)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert main(["index", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == f"index   {tmp_path / 'index.html'}"
    assert len(told.out.splitlines()) == 3, "the path, a group and its run"
    assert [line.split(": ")[1] for line in told.err.splitlines()] == [
        f"bad-{number:02}" for number in range(len(DAMAGE))
    ]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "1 run," in page
    assert "bad-00" in page


@pytest.mark.parametrize("text", ["[" * 10_000, '{"sentence": "a\\nb<i>"}', "[]", "\x00"])
def test_a_gate_s_damaged_verdict_costs_the_index_nothing(tmp_path: Path, run: Run, text: str) -> None:
    import dataclasses

    from bench.model import OtherCommit, RunSettings

    settings = RunSettings(side_by_side=OtherCommit("main", "abc1234"))
    gate = dataclasses.replace(run, environment=dataclasses.replace(run.environment, settings=settings))
    (tmp_path / "a-gate").mkdir()
    write_run(gate, tmp_path / "a-gate")
    (tmp_path / "a-gate" / "gate.json").write_text(text)
    page = make_index(tmp_path).path.read_text(encoding="utf-8")
    assert "a-gate" in page
    assert "<i>" not in page


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / FILE_NAME).chmod(0)
    with pytest.raises(UsageError, match=r"cannot be read \(Permission denied\)"):
        read_run(tmp_path)


def test_a_command_line_that_is_no_text_is_kept_and_read(tmp_path: Path) -> None:
    import dataclasses

    write_run(dataclasses.replace(run_of({"onnx": EQUAL}), command="bench run \udcff"), tmp_path)
    assert read_run(tmp_path).command == "bench run ?"


# samples

TIMES = np.arange(10, dtype=np.int64) * 10**8


@pytest.mark.parametrize(
    "columns",
    [
        {"due_ns": TIMES, "done_ns": TIMES},
        {"due_ns": TIMES, "done_ns": TIMES.astype(str), "outcome": ["ok"] * 10},
        {"due_ns": TIMES, "done_ns": TIMES.astype(float), "outcome": ["ok"] * 10},
        {"due_ns": TIMES, "done_ns": TIMES, "outcome": list(range(10))},
        {"due_ns": TIMES, "done_ns": TIMES, "outcome": [None] * 10},
        {"due_ns": [None, *TIMES[1:].tolist()], "done_ns": TIMES, "outcome": ["ok"] * 10},
        {"due_ns": TIMES, "done_ns": np.full(10, 2**62), "outcome": ["ok"] * 10},
        {"due_ns": np.full(10, -(2**63)), "done_ns": TIMES, "outcome": ["ok"] * 10},
        {"due_ns": TIMES, "done_ns": TIMES, "outcome": [["ok"]] * 10},
    ],
    ids=range(9),
)
def test_samples_that_lack_a_column_or_have_another_type_are_one_line(
    tmp_path: Path, columns: dict[str, object]
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"^a\.parquet in the run's samples cannot be read \(.*remove it"):
        read_responses(tmp_path / "a.parquet")


@pytest.mark.parametrize("made", [b"", b"PAR1", b"PAR1" * 100, b"\x00" * 1000])
def test_samples_that_are_no_parquet_are_one_line(tmp_path: Path, made: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(made)
    with pytest.raises(UsageError, match="cannot be read"):
        read_responses(tmp_path / "a.parquet")


def flipped(data: bytes, rng: random.Random) -> bytes:
    """The data with some bits flipped, digits changed or bytes missing."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3))):
        place = rng.randrange(len(made))
        digit = next((n for n in range(place, min(len(made), place + 300)) if 48 <= made[n] <= 57), place)
        change = rng.random()
        if change < 0.5:
            made[digit : digit + 1] = rng.choice((b"9", b"0", b"-1", b"99999999", b"1e300", b"0.0"))
        elif change < 0.9:
            made[place] ^= 1 << rng.randrange(8)
        else:
            del made[place : place + 3]
    return bytes(made)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_of_a_committed_run_raise_nothing_but_the_project_s_errors(
    tmp_path: Path, seed: int
) -> None:
    """The fuzz of the whole path from run.json and samples to every text format."""
    rng = random.Random(seed)  # noqa: S311  # cases, not secrecy
    folder = tmp_path / "run"
    shutil.copytree(SEED_RUN / "samples", folder / "samples")
    whole = (SEED_RUN / FILE_NAME).read_bytes()
    samples = sorted((folder / "samples").iterdir())
    cases = int(os.environ.get("FUZZ_CASES", "0")) // 100 or 8
    for number in range(cases):
        file = rng.choice(samples)
        kept = file.read_bytes()
        (folder / FILE_NAME).write_bytes(flipped(whole, rng) if number % 2 else whole)
        file.write_bytes(kept if number % 2 else flipped(kept, rng))
        with contextlib.suppress(BenchError), contextlib.redirect_stdout(io.StringIO()):
            report = report_of(analyse(read_run(folder), folder), folder)
            for render in (*PRINTED.values(), *WRITTEN.values()):
                render(report)
            main(["compare", str(SEED_RUN), str(folder)])
        with contextlib.suppress(BenchError):
            make_index(tmp_path)
        file.write_bytes(kept)


def test_the_folder_one_is_in_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"^no run.json in {tmp_path.name}/: "):
        read_run(Path())
