"""Every command of README.md and docs/ is run by a test: here, or in the test that this table names."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# pages of which a test runs every command as it stands -> the test, and words of it that say which
WHOLE = {
    "docs/clients": ("tests/contract/test_client_pages.py", '(ROOT / "docs" / "clients").glob("*.md")'),
    "docs/running_service.md": ("tests/docs/test_running_service_page.py", "docs/running_service.md"),
    "docs/project.md": ("tests/project/test_project_page.py", 'ROOT / "docs/project.md"'),
    "docs/examples": ("tests/examples/test_example_pages.py", 'FOLDER = ROOT / "docs/examples"'),
    "docs/handlers.md": ("tests/examples/test_handlers_page.py", "docs/handlers.md"),
    "docs/requests.md": ("tests/docs/test_requests_page.py", "docs/requests.md"),
    "docs/tasks": ("tests/docs/test_task_pages.py", "for name in NAMES for command in commands(name)"),
}
PAGES = [
    page
    for page in [ROOT / "README.md", ROOT / "METHODOLOGY.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if not any(page.is_relative_to(ROOT / whole) for whole in WHOLE)
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)

# beginning of a command -> the test that runs it, and words of that test which do
ELSEWHERE = {
    "make bench": ("tests/containers/test_make_bench.py", '["make", "bench"'),
    "make test": (".ci/run", "make test"),
    "docker compose up --build": ("tests/running/compose.py", '"up", "--build"'),
    "docker compose --profile rust up --build": (
        "tests/containers/test_rust_image.py",
        '"--profile", "rust"',
    ),
    "make rust": ("Makefile", "test-all: check rust-alone"),
    "curl ": ("tests/containers/test_main_job.py", 'line.startswith("curl ")'),
    "python -m bench run": ("tests/containers/test_main_job.py", '"--strategies"'),
    "python -m bench run --vary": ("tests/containers/test_sweep.py", "python -m bench run --vary onnx:"),
    "python -m bench run --resume": ("tests/bench/test_resume.py", '"--resume"'),
    "python -m bench run --remote-workers": ("tests/bench/test_remote_run.py", '"--remote-workers"'),
    "python -m bench worker": ("tests/bench/other_hosts.py", '"worker"'),
    "python -m bench slo": ("tests/bench/test_searching_run.py", '"slo"'),
    "python -m bench aa": ("tests/bench/test_searching_run.py", '"aa"'),
    "python -m bench doctor": ("tests/bench/test_doctor.py", '"doctor"'),
    "python -m bench ceiling": ("tests/bench/test_cli.py", '"ceiling"'),
    "python -m bench gate": ("tests/bench/test_gate_run.py", 'gate("--against"'),
    "python -m bench compare": ("tests/report/test_verbs.py", 'bench("compare"'),
    "python -m bench licences": ("tests/bench/test_licences.py", 'bench("licences", "--format", "csv"'),
    "python -m bench licences --runtime process": (
        "tests/bench/test_licences.py",
        'bench("licences", "--runtime", "process"',
    ),
    "python -m bench index": ("tests/report/test_verbs.py", 'bench("index"'),
    "python -m bench gate --baseline": ("tests/bench/test_gate_run.py", 'gate("--baseline"'),
    "python -m modelkit train": ("tests/docs/test_model_commands.py", '"train"'),
    "python -m modelkit evaluate": ("tests/docs/test_model_commands.py", '"evaluate"'),
    "python -m modelkit images": ("tests/docs/test_model_commands.py", '"images"'),
    "python -m modelkit held-out": ("tests/docs/test_model_commands.py", '"held-out"'),
    "python -m modelkit export": ("tests/conftest.py", '"modelkit", "export"'),
    "python -m modelkit compile": ("tests/modelkit/test_publish_compiled.py", '"modelkit", "compile"'),
    "python -m modelkit publish": ("tests/modelkit/test_publish.py", "publish("),
    "python -m modelkit add": ("tests/modelkit/adding.py", '"add", str(file)'),
    "python -m modelkit time-transform": ("tests/modelkit/test_command.py", '"time-transform"'),
    "python tools/compare_encodings.py": (
        "tests/contract/test_compare_encodings.py",
        '"tools/compare_encodings.py", *words, "--rounds"',
    ),
    "sh tools/install.sh": ("Makefile", "sh tools/install.sh"),
    "tools/resolve_arm64.sh": (
        "tests/tools/test_resolve_arm64.py",
        'TOOL = ROOT / "tools/resolve_arm64.sh"',
    ),
    "tools/gate_verdict.sh": ("tests/docs/test_workflows.py", 'VERDICT = ROOT / "tools" / "gate_verdict.sh"'),
    "export ": ("tests/containers/test_compose.py", "CLOUDSDK_AUTH_ACCESS_TOKEN="),
    "PIXELS=": ("tests/contract/conftest.py", "PIXELS=pixels"),
    "ENGINE=openvino ": ("tests/contract/conftest.py", '"ENGINE": "openvino"'),
    "python tools/time_engines.py": ("tests/tools/test_time_engines.py", "tools/time_engines.py"),
    ". .venv/bin/activate": ("Makefile", "-m venv .venv"),
    # docs/ci.md, in a repository of one's own
    **dict.fromkeys(
        ("HARNESS=", "python3 -m venv .venv", ".venv/bin/", "git add .", "git commit "),
        ("tests/project/test_ci_page.py", "type_page(tmp_path, source, PAGE, index)"),
    ),
}
HERE = ["python -m bench plan", "python -m bench report"]
# verbs that have verbs of their own
NESTED = {"requests", "plan"}


def documented() -> list[str]:
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            found += [
                line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")
            ]
    return sorted(set(found))


@pytest.mark.parametrize("page", WHOLE)
def test_a_page_that_is_run_whole_has_its_test(page: str) -> None:
    test, words = WHOLE[page]
    assert (ROOT / page).exists()
    assert words in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", documented())
def test_a_documented_command_has_a_test_that_runs_it(command: str) -> None:
    if any(command.startswith(start) for start in HERE):
        return
    tests = [test for start, test in ELSEWHERE.items() if command.startswith(start)]
    assert tests, f"no test runs: {command}"
    for file, words in tests:
        assert words in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not run: {command}"


@pytest.mark.parametrize("command", [c for c in documented() if c.startswith("python -m ")])
def test_the_options_of_a_documented_command_exist(command: str) -> None:
    """Each --option is in the verb's own --help."""
    words = shlex.split(command)
    verb = words[: 4 if len(words) > 3 and not words[3].startswith("-") and "." not in words[2] else 3]
    if verb[-1] in NESTED and words[4:] and not words[4].startswith("-"):
        verb = words[:5]
    shown = subprocess.run(
        [sys.executable, *verb[1:], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    for word in words:
        assert not word.startswith("--") or word in shown.stdout, f"{word} is not an option: {command}"


def run_here(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("command", [c for c in documented() if c.startswith("python -m bench plan")])
def test_plan_says_what_a_run_does(command: str) -> None:
    done = run_here(command, ROOT)
    assert done.returncode == 0, done.stderr
    assert "torch" in done.stdout


REPORTS = [c for c in documented() if c.startswith("python -m bench report")]


@pytest.mark.parametrize("command", [c for c in REPORTS if " --format " in c])
def test_report_prints_a_format(command: str) -> None:
    done = run_here(command, ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "onnx" in done.stdout


@pytest.mark.parametrize("command", [c for c in REPORTS if " --format " not in c])
def test_report_makes_a_run_s_pictures_again(command: str, tmp_path: Path) -> None:
    """On a copy: the committed reference run is not touched."""
    run = Path(shlex.split(command)[-1])
    shutil.copytree(ROOT / run, tmp_path / run.name)
    shutil.rmtree(tmp_path / run.name / "plots")
    (tmp_path / run.name / "report.md").unlink()
    words = [*shlex.split(command)[:-1], str(tmp_path / run.name)]
    done = run_here(shlex.join(words), ROOT)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / run.name / "plots").glob("*.png"))
    assert (tmp_path / run.name / "report.md").read_text(encoding="utf-8") == (
        ROOT / run / "report.md"
    ).read_text(encoding="utf-8")
