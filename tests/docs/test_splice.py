"""What documents quote of runs and of --help: spliced in, found stale, and refused where a mark is wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.docs.help import WIDTH, all_help, verb_help
from bench.docs.marks import END
from bench.docs.splice import main
from bench.verbs.parser import build_parser

ROOT = Path(__file__).parents[2]
CLOSED = "results/20261124T175723Z-e214b0c"
OPEN = "results/20261124T210427Z-db782fb"
LATE = "results/20261129T043616Z-96c4969"
ALONE = "results/20261124T180826Z-e214b0c"
VERBS = re.findall(r"^## (.*)$", all_help(), re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with copies of committed runs."""
    for run in (CLOSED, OPEN, LATE, ALONE):
        (tmp_path / run).mkdir(parents=True)
        shutil.copy(ROOT / run / "run.json", tmp_path / run)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, mark: str, name: str = "page.md") -> Path:
    page = folder / name
    page.parent.mkdir(exist_ok=True)
    page.write_text(f"# Title\n\n<!-- splice: {mark} -->\nold\n{END}\n\nThe end.\n", encoding="utf-8")
    return page


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (f"results {CLOSED}", "| batched | small | 179 (164\N{EN DASH}194) |"),
        (f"results {CLOSED}", f"![throughput]({CLOSED}/plots/throughput.png)"),
        (f"verdict {CLOSED}", "Measured at 50 clients, 2026-11-24 on AMD EPYC"),
        (f"results {CLOSED}", "Measured at 50 clients, 2026-11-24 on AMD EPYC"),
        (f"ratios {CLOSED}", "| load | payloads | batched against |"),
        (f"ratios {CLOSED} batched", "| 50 clients | small | mosec | 0.98\N{MULTIPLICATION SIGN} (0.93"),
        (f"ratios {CLOSED} batched", "0.79\N{MULTIPLICATION SIGN} (0.40\N{EN DASH}1.55) in 3 rounds"),
        (
            f"lateness {OPEN}",
            "| 50% of capacity | small | 47.5% (43\N{EN DASH}53%) | 17.6 (14.6\N{EN DASH}20.8) | 63.5",
        ),
        (f"lateness {OPEN}", "overloaded in 5 of 6: 1\N{NO-BREAK SPACE}598 refused |"),
        (
            f"stages {ALONE}",
            "| strategy | payloads | parse ms | decode ms | transform ms | infer ms | encode ms |",
        ),
        (f"stages {ALONE}", "| unbatched | small | 0.05 | 0.77 | 0.82 | 8.27 | 0.04 | 10.7 | 0.74 |"),
        (f"stages {ALONE}", "| mosec | small | n/a | n/a | n/a | n/a | n/a | 12.4 | n/a |"),
        (f"lateness {LATE}", " 82.1 (54.2\N{EN DASH}107.9) | own rates |"),
        (f"ratios {LATE} batched", "(0.82\N{EN DASH}0.95)\\* |"),
        (f"ratios {LATE} batched", "\nWith \\* the interval excludes 1, but one of so many comparisons"),
        ("help worker", "--master HOST  where `run --remote-workers` runs"),
        ("help", "## doctor\n\n```text\nusage: python -m bench doctor [-h]"),
    ],
)
def test_a_block_is_written_between_its_marks_once_and_the_rest_is_kept(
    folder: Path, mark: str, words: str
) -> None:
    page = write(folder, mark)
    assert main([page.name]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n<!-- splice: {mark} -->\n\n")
    assert text.endswith(f"\n\n{END}\n\nThe end.\n")
    assert words in text
    assert "old" not in text.split()
    assert str(folder) not in text
    assert main([page.name, "--check"]) == 0
    assert main([page.name]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_a_page_in_a_folder_of_its_own_links_to_the_run_from_there(folder: Path) -> None:
    page = write(folder, f"results {CLOSED}", "docs/page.md")
    assert main(["docs/page.md"]) == 0
    assert f"](../{CLOSED}/report.md)" in page.read_text(encoding="utf-8")


def test_the_check_names_each_stale_file_and_the_command_and_leaves_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [write(folder, f"results {CLOSED}"), write(folder, f"ratios {CLOSED} batched", "other.md")]
    names = [page.name for page in pages]
    assert main(names) == 0
    before = [page.read_text(encoding="utf-8") for page in pages]
    run = json.loads((folder / CLOSED / "run.json").read_text(encoding="utf-8"))
    run["trials"] = run["trials"][:-6]
    (folder / CLOSED / "run.json").write_text(json.dumps(run), encoding="utf-8")
    capsys.readouterr()
    assert main([*names, "--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "docs: page.md is stale: run `python -m bench.docs`",
        "docs: other.md is stale: run `python -m bench.docs`",
    ]
    assert [page.read_text(encoding="utf-8") for page in pages] == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            f"<!-- splice: tables {CLOSED} -->\n{END}\n",
            "tables is not a kind of block: there are results, verdict, ratios",
        ),
        (f"<!-- splice: results {CLOSED} -->\nold\n", "has no end: write <!-- splice end -->"),
        (f"<!-- splice: help -->\n<!-- splice: help run -->\n{END}\n", "has no end"),
        (f"words\n\n{END}\n", f"line 3: {END} ends nothing"),
        (f"<!-- splice results {CLOSED} -->\n{END}\n", "is not a mark: write <!-- splice: KIND"),
        (f"<!--splice: results {CLOSED}-->\n{END}\n", "is not a mark"),
        (f"<!-- splice: -->\n{END}\n", "is not a mark"),
        (f"<!-- splice: results results/none -->\n{END}\n", "no run.json in none/"),
        (f"<!-- splice: results -->\n{END}\n", "write <!-- splice: results FOLDER -->"),
        (f"<!-- splice: ratios {CLOSED} none -->\n{END}\n", "none is not in that run: it has torch, batched"),
        (f"<!-- splice: lateness {CLOSED} -->\n{END}\n", "that run has no open load"),
        (f"<!-- splice: stages {CLOSED} -->\n{END}\n", "that run has no load of one client: name one made"),
        (f"<!-- splice: help dance -->\n{END}\n", "dance is not a verb of bench: there are run, plan"),
    ],
)
def test_a_wrong_mark_is_one_line_and_no_file_is_touched(
    folder: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(folder, "help worker", "good.md")
    before = good.read_text(encoding="utf-8")
    (folder / "page.md").write_text(text, encoding="utf-8")
    for flags in ([], ["--check"]):
        assert main(["good.md", "page.md", *flags]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert message.startswith("docs: page.md, line ")
        assert says in message
    assert (folder / "page.md").read_text(encoding="utf-8") == text
    assert good.read_text(encoding="utf-8") == before


def test_a_missing_file_and_a_folder_without_documents_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{folder.name}.md"]) == 2
    assert main([]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].split()[0] for line in lines] == ["no", "git"]


def test_marks_in_a_fenced_block_are_words(folder: Path) -> None:
    shown = f"```html\n<!-- splice: none -->\n{END}\n```\n\n~~~~\n```\n{END}\n~~~~\n"
    (folder / "page.md").write_text(shown, encoding="utf-8")
    assert main(["page.md"]) == 0
    assert (folder / "page.md").read_text(encoding="utf-8") == shown


def test_every_file_that_git_tracks_is_looked_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "--quiet", "."], cwd=folder, check=True)
    for name in ("docs/tracked.md", "fresh.md", "ignored.md"):
        write(folder, "help worker", name)
    (folder / ".gitignore").write_text("ignored.md\n", encoding="utf-8")
    subprocess.run(["git", "add", "docs/tracked.md"], cwd=folder, check=True)
    assert main(["--check"]) == 1
    stale = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert stale == ["docs/tracked.md", "fresh.md"]


def test_the_documents_of_this_repository_are_up_to_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_page_of_commands_has_every_verb_and_is_stale_without_one(folder: Path) -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert VERBS
    assert all(f"## {verb}\n" in text for verb in VERBS)
    page = folder / "commands.md"
    page.write_text(text, encoding="utf-8")
    assert main(["commands.md", "--check"]) == 0
    before, _, after = text.partition(f"## {VERBS[-2]}\n")
    page.write_text(before + after[after.index("## ") :], encoding="utf-8")
    assert main(["commands.md", "--check"]) == 1


def test_the_verbs_are_those_that_the_program_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["no such verb"])
    told = capsys.readouterr().err.partition("choose from")[2].partition(")")[0]
    assert re.findall(r"[a-z-]+", told) == VERBS


@pytest.mark.parametrize("verb", [None, "slo", "run"])
def test_the_text_is_the_program_s_own_help(verb: str | None) -> None:
    """But for where lines of usage end, and for a default that older versions of Python name twice."""
    words = [verb] if verb else []
    command = [sys.executable, "-m", "bench", *words, "--help"]
    environment = {**os.environ, "COLUMNS": "80"}
    shown = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    ours = verb_help(verb) if verb else all_help().partition("\n## ")[0]
    assert unfenced(ours) == shown.replace(" (default: True)", "").split()
    _, _, options = shown.replace(" (default: True)", "").partition("\n\n")
    assert options.rstrip() in ours


def unfenced(block: str) -> list[str]:
    return block.replace("```text", "").replace("```", "").split()


@pytest.mark.parametrize("columns", ["20", "200"])
def test_the_text_does_not_hang_on_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    before = all_help()
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert all_help() == before
    # but for a list of choices, which nothing can break
    long = [line for line in before.splitlines() if len(line) > WIDTH and " [--format {" not in line]
    assert not long
