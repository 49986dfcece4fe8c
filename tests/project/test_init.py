"""`bench init`: what it writes, what it refuses, and what an update leaves alone."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli import main
from bench.gate.rules import read_rules
from bench.project import own_origin
from bench.project import project_files as made_of
from bench.project.digests import sha256
from bench.project.vendored import source_files

ROOT = Path(__file__).parents[2]
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command in this process: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def model(folder: Path, *names: str, **facts: Any) -> Path:
    """A folder as `modelkit add` writes it, with files that no test loads."""
    folder.mkdir()
    files = {name: {"sha256": sha256(name.encode())} for name in names}
    manifest = {"name": "encoder", "version": "1", "kind": "tensors", "files": files, **facts}
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def services(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))["services"]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_without_a_model_every_strategy_waits_for_it(bench: Said, tmp_path: Path) -> None:
    code, out, _ = bench("init", tmp_path / "prices")
    assert code == 0
    assert "strategies torch, onnx, batched" in out
    assert f"modelkit add FILE --name NAME --to {tmp_path}/prices/model" in out
    assert set(services(tmp_path / "prices")) == {"torch_serving", "onnx_serving", "batched_serving"}
    assert {path.name for path in (tmp_path / "prices").iterdir()} == {
        *(".github", ".gitignore", "Makefile", "README.md", "compose.yaml", "gate.toml"),
        *("harness", "model", "model_code", "services"),
    }


def test_every_source_of_a_service_is_there_as_it_is_here(bench: Said, tmp_path: Path) -> None:
    bench("init", tmp_path / "p")
    for file in source_files(ROOT):
        if str(file) != "compose.yaml":
            assert (tmp_path / "p" / "services" / file).read_bytes() == (ROOT / file).read_bytes()
    assert (tmp_path / "p" / "services" / "tools" / "install.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "p" / "services" / "serving_core" / "loop.py").stat().st_mode & 0o777 == 0o644


def test_only_strategies_that_can_serve_the_model_are_registered(bench: Said, tmp_path: Path) -> None:
    folder = model(tmp_path / "made", "model.onnx")
    code, out, err = bench("init", tmp_path / "p", "--model", folder)
    assert code == 0
    assert "strategies onnx\n" in out
    assert "left out: torch: it serves .pt2 or .safetensors, and the model has no such form" in err
    assert "left out: batched: " in err
    (service,) = services(tmp_path / "p").values()
    assert service["labels"]["bench.model"] == "encoder"
    assert service["labels"]["bench.payloads"] == "json,msgpack,oip-json,oip-binary"
    assert (tmp_path / "p" / "model" / "model.onnx").read_bytes() == b"model.onnx"
    assert (tmp_path / "p" / "model" / "model.json").exists()
    assert "Left out: torch (it serves" in (tmp_path / "p" / "README.md").read_text("utf-8")
    rules = read_rules(tmp_path / "p" / "gate.toml")
    assert [rule.strategy for rule in rules.primaries] == ["onnx"]
    assert rules.run.payloads == ()  # whatever classes the set will have


def test_a_program_is_taken_before_weights_which_need_code(bench: Said, tmp_path: Path) -> None:
    folder = model(tmp_path / "made", "program.pt2", "weights.safetensors", architecture="nets:make")
    bench("init", tmp_path / "p", "--model", folder)
    found = services(tmp_path / "p")
    assert set(found) == {"torch_serving", "batched_serving"}
    for service in found.values():
        assert service["environment"]["TORCH_MODEL_URI"] == "${TORCH_MODEL_URI:-file:///models/program.pt2}"


def test_weights_need_the_code_of_their_network(bench: Said, tmp_path: Path) -> None:
    weights = ("weights.safetensors",)
    folder = model(tmp_path / "made", *weights, architecture="nets.small:make")
    _, _, err = bench("init", tmp_path / "p", "--model", folder)
    assert "nets.small:make makes the network of the weights: put that module into model_code/" in err
    assert services(tmp_path / "p")["torch_serving"]["build"]["additional_contexts"]["code"] == (
        "${MODEL_CODE:-./model_code}"
    )
    _, _, err = bench(
        "init", tmp_path / "q", "--model", model(tmp_path / "known", *weights, architecture="mobilenet")
    )
    assert "model_code" not in err


def test_addresses_of_forms_are_taken_as_they_are(bench: Said, tmp_path: Path) -> None:
    addresses = ["gs://bucket/encoder/model.onnx", "gs://bucket/encoder/program.pt2"]
    code, _, _ = bench("init", tmp_path / "p", "--model", *addresses)
    assert code == 0
    found = services(tmp_path / "p")
    assert found["onnx_serving"]["environment"]["ONNX_MODEL_URI"] == f"${{ONNX_MODEL_URI:-{addresses[0]}}}"
    assert found["torch_serving"]["labels"]["bench.model"] == "encoder"
    assert {path.name for path in (tmp_path / "p" / "model").iterdir()} == {"README.md"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "nowhere"], "nowhere does not exist: take the model in with `modelkit add"),
        (["--model", "bare"], "bare has no model.json: take the model in"),
        (["--model", "empty"], "empty has no file that ends in .onnx, .pt2, .safetensors: take"),
        (["--model", "two"], "two has two files that end in .onnx: name one of them"),
        (["--model", "broken"], "broken/model.json cannot be read as JSON: take"),
        (["--model", "ftp://host/model.onnx"], "is not the address of a model: give gs://bucket/name"),
        (["--model", "gs://bucket/model"], "names no file that ends in .onnx, .pt2, .safetensors"),
        (["--model", "https://u:secret@host/m.onnx"], "or a secret: set TORCH_MODEL_URI"),
        (["--model", "gs://b/a.onnx", "gs://b/b.onnx"], "are the same form of a model: name one of them"),
        (["--model", "changed"], "a.onnx is not the file that model.json lists, its sha256 differs: take"),
        (["--model", "unlisted"], "unlisted/model.json does not list a.onnx, so no service loads it: take"),
        (["--model", "nameless"], "says 'a b', which is not the name of a model: use letters"),
        (["--model", "gs://b/m.onnx"], "do not say the model's name: give --model-name NAME"),
        (["--model", "gs://b/a~b/m.onnx"], "do not say the model's name: give --model-name NAME"),
        (["--model", "gs://b/a/m.onnx", "gs://b/c/p.pt2"], "do not say the model's name: give --model-name"),
        (["--model", "gs://b/a/m.onnx", "--model-name", "a/b"], "--model-name says 'a/b', which is not the"),
        (["--model", "good", "--model-name", "other"], "--model-name is other, and model.json says encoder"),
        (["--model-name", "other"], "--model-name goes with --model: give the model's addresses too"),
        (["--name", "Prices!"], "'Prices!' cannot be a project's name: write small letters"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_writes_nothing(
    bench: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    model(tmp_path / "empty")
    model(tmp_path / "two", "a.onnx", "b.onnx")
    (model(tmp_path / "broken", "a.onnx") / "model.json").write_text("{", encoding="utf-8")
    model(tmp_path / "good", "a.onnx")
    (model(tmp_path / "changed", "a.onnx") / "a.onnx").write_bytes(b"another")
    model(tmp_path / "unlisted", "a.onnx", files={})
    model(tmp_path / "nameless", "a.onnx", name="a b")
    before = contents(tmp_path)
    code, out, err = bench("init", "p", *words)
    assert (code, out) == (2, "")
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert says in err
    assert "secret" not in err.replace("or a secret", "")
    assert contents(tmp_path) == before
    assert not (tmp_path / "p").exists()


def test_a_folder_with_files_is_refused_and_left_alone(bench: Said, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, err = bench("init", tmp_path)
    assert (code, err) == (2, f"bench: {tmp_path} holds notes.txt already: name a new folder\n")
    assert contents(tmp_path) == {"notes.txt": b"mine"}
    code, _, err = bench("init", tmp_path / "notes.txt")
    assert (code, err) == (2, f"bench: {tmp_path}/notes.txt is a file: name a folder\n")


def test_a_new_repository_is_a_folder_without_files(bench: Said, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert bench("init", tmp_path)[0] == 0
    assert (tmp_path / "compose.yaml").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") and len(path.name) > 10]


def test_what_fails_halfway_leaves_nothing(
    bench: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.project.project_writing.RECORD", "compose.yaml/project.json")
    code, _, err = bench("init", tmp_path / "p")
    assert code == 1
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_update_renews_what_is_unchanged_and_keeps_the_rest(
    bench: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, templates = tmp_path / "p", tmp_path / "templates"
    bench("init", project)
    templates.mkdir()
    for file in made_of.TEMPLATES.iterdir():
        (templates / file.name).write_text(
            file.read_text("utf-8") + "\n# of a newer bench\n", encoding="utf-8"
        )
    monkeypatch.setattr(made_of, "TEMPLATES", templates)
    (project / "gate.toml").write_text("mine", encoding="utf-8")
    (project / "requests").mkdir()
    (project / "requests" / "manifest.json").write_text("{}", encoding="utf-8")
    (project / "model" / "README.md").unlink()
    (project / "Makefile").unlink()
    (project / "services" / "serving_core" / "loop.py").write_text("mine too", encoding="utf-8")
    record = project / "services" / "project.json"
    stored = json.loads(record.read_text("utf-8"))
    gone = project / "services" / "serving_core" / "gone.py"
    gone.write_bytes(b"of an older bench")
    stored["files"]["services/serving_core/gone.py"] = sha256(gone)
    record.write_text(json.dumps(stored), encoding="utf-8")

    code, out, err = bench("init", project, "--update")
    assert code == 0
    assert (project / "README.md").read_text("utf-8").endswith("# of a newer bench\n")
    assert (project / "gate.toml").read_text("utf-8") == "mine"
    assert (project / "gate.toml.new").read_text("utf-8").endswith("# of a newer bench\n")
    assert "kept as you changed it: gate.toml: what bench would write is beside it, gate.toml.new" in err
    assert (project / "services" / "serving_core" / "loop.py").read_text("utf-8") == "mine too"
    assert (project / "requests" / "manifest.json").read_text("utf-8") == "{}"
    assert not gone.exists()
    assert "1 removed" in out
    for path in ("Makefile", "model/README.md"):
        assert not (project / path).exists()
        assert f"removed by you, and left so: {path}\n" in err

    code, out, err = bench("init", project, "--update")
    assert (code, err.count("\n")) == (0, 2)
    assert err.count("removed by you, and left so: ") == 2
    assert "0 files written, 0 removed" in out


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Each call makes a newer bench, whose templates all have one more line."""
    templates = tmp_path / "templates"
    shutil.copytree(made_of.TEMPLATES, templates)
    monkeypatch.setattr(made_of, "TEMPLATES", templates)

    def change() -> None:
        for file in templates.iterdir():
            file.write_text(file.read_text("utf-8") + "\n# newer\n", encoding="utf-8")

    return change


def test_what_an_older_update_put_beside_a_file_is_not_lost(
    bench: Said, tmp_path: Path, newer: Callable[[], None]
) -> None:
    project = tmp_path / "p"
    bench("init", project)
    (project / "gate.toml").write_text("mine", encoding="utf-8")
    (project / "gate.toml.new").write_text("half merged", encoding="utf-8")
    newer()
    _, _, err = bench("init", project, "--update")
    assert "kept as you changed it: gate.toml: what bench would write is beside it, gate.toml.new2" in err
    assert (project / "gate.toml").read_text("utf-8") == "mine"
    assert (project / "gate.toml.new").read_text("utf-8") == "half merged"
    assert (project / "gate.toml.new2").read_text("utf-8").endswith("# newer\n")
    newer()
    bench("init", project, "--update")
    assert {file.name for file in project.glob("gate.toml*")} == {
        *("gate.toml", "gate.toml.new", "gate.toml.new2", "gate.toml.new3")
    }


def test_a_file_of_the_users_where_a_newer_bench_wants_one_is_kept(bench: Said, tmp_path: Path) -> None:
    project = tmp_path / "p"
    bench("init", project)
    record = project / "services" / "project.json"
    stored = json.loads(record.read_text("utf-8"))
    del stored["files"]["Makefile"]
    record.write_text(json.dumps(stored), encoding="utf-8")
    (project / "Makefile").write_text("mine", encoding="utf-8")
    bench("init", project, "--update")
    assert (project / "Makefile").read_text("utf-8") == "mine"
    assert "$(BENCH) run" in (project / "Makefile.new").read_text("utf-8")


def test_an_update_follows_no_link(bench: Said, tmp_path: Path, newer: Callable[[], None]) -> None:
    """A linked file is its user's, and a linked folder is outside the project, whatever lies there."""
    project, outside = tmp_path / "p", tmp_path / "outside"
    bench("init", project)
    outside.mkdir()
    for name in ("harness", "gate.toml"):
        (project / name).rename(outside / name)
        (project / name).symlink_to(outside / name)
    (project / "Makefile").unlink()
    (project / "Makefile").symlink_to(tmp_path / "nowhere")
    before = contents(outside)
    newer()
    code, _, err = bench("init", project, "--update")
    assert code == 0
    assert contents(outside) == before
    assert not (tmp_path / "nowhere").exists()
    assert (project / "gate.toml").is_symlink()
    assert (project / "gate.toml.new").read_text("utf-8").endswith("# newer\n")
    assert "not touched, a link or a file is on the way to it: harness/README.md" in err
    assert "kept as you changed it: Makefile: " in err


def test_sources_behind_a_link_end_an_update(bench: Said, tmp_path: Path, newer: Callable[[], None]) -> None:
    project = tmp_path / "p"
    bench("init", project)
    (project / "services").rename(tmp_path / "shared")
    (project / "services").symlink_to(tmp_path / "shared")
    before = contents(tmp_path)
    newer()
    code, _, err = bench("init", project, "--update")
    assert (code, err.count("\n")) == (2, 1)
    assert "services is a link, and nothing is written behind one: put a folder there" in err
    templates = {path for path in before if path.startswith("templates/")}
    now = contents(tmp_path)
    assert {path: now[path] for path in now if path not in templates} == {
        path: before[path] for path in before if path not in templates
    }


def test_an_update_remembers_the_model_and_takes_another(bench: Said, tmp_path: Path) -> None:
    project = tmp_path / "p"
    bench("init", project, "--model", model(tmp_path / "one", "model.onnx"))
    before = (project / "compose.yaml").read_bytes()
    assert bench("init", project, "--update")[0] == 0
    assert (project / "compose.yaml").read_bytes() == before
    assert (project / "model" / "model.onnx").exists()
    bench(
        "init",
        project,
        "--update",
        "--model",
        model(tmp_path / "two", "model.onnx", "program.pt2", version="2"),
    )
    assert set(services(project)) == {"torch_serving", "onnx_serving", "batched_serving"}
    assert json.loads((project / "model" / "model.json").read_text("utf-8"))["version"] == "2"


def test_a_model_that_came_later_is_taken_in_where_it_lies(bench: Said, tmp_path: Path) -> None:
    """As the README says: `modelkit add` writes into model/, and the rest follows."""
    project = tmp_path / "p"
    bench("init", project)
    for name, content in contents(model(tmp_path / "made", "model.onnx")).items():
        (project / "model" / name).write_bytes(content)
    before = contents(project / "model")
    code, _, err = bench("init", project, "--update", "--model", project / "model")
    assert code == 0
    assert "left out: torch" in err
    assert "kept" not in err
    assert contents(project / "model") == before
    (service,) = services(project).values()
    assert service["labels"]["bench.model"] == "encoder"
    assert [rule.strategy for rule in read_rules(project / "gate.toml").primaries] == ["onnx"]


def test_a_newer_wheel_takes_the_place_of_the_older(
    bench: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workflow installs what lies in harness/; an update from a checkout leaves it."""
    project, wheels = tmp_path / "p", tmp_path / "dist"
    wheels.mkdir()
    for version in ("1", "2"):
        (wheels / f"bench-{version}.whl").write_bytes(version.encode())
    monkeypatch.setattr(made_of, "own_wheel", lambda: wheels / "bench-1.whl")
    _, _, err = bench("init", project)
    assert err == ""
    monkeypatch.setattr(made_of, "own_wheel", lambda: None)
    bench("init", project, "--update")
    assert {path.name for path in (project / "harness").iterdir()} == {"README.md", "bench-1.whl"}
    monkeypatch.setattr(made_of, "own_wheel", lambda: wheels / "bench-2.whl")
    bench("init", project, "--update")
    assert {path.name for path in (project / "harness").iterdir()} == {"README.md", "bench-2.whl"}


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("git+https://git.example.org/harness.git@abc", ""),
        ("git+https://git.example.org/all.git@abc#subdirectory=tools/harness", ""),
        (
            "git+file:///somewhere/harness@abc",
            ".github/workflows/bench.yml installs the harness from git+file:///somewhere/harness@abc, which "
            "is on this machine only: write the repository's public address there\n",
        ),
    ],
)
def test_the_workflow_installs_the_commit_that_the_harness_came_from(
    bench: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    for module in (made_of, own_origin):
        monkeypatch.setattr(module, "own_address", lambda: address)
    project = tmp_path / "p"
    assert bench("init", project)[2] == told
    flow = yaml.safe_load((project / ".github" / "workflows" / "bench.yml").read_text("utf-8"))
    for job in flow["jobs"].values():
        (script,) = [step["run"] for step in job["steps"] if step.get("name") == "install the harness"]
        line = f"python -m pip --python .venv/bin/python install --no-deps {shlex.quote(address)}"
        assert script.splitlines()[-1] == line
        assert "harness/" not in script.replace(address, "")
    readme = (project / "README.md").read_text("utf-8")
    assert f".venv/bin/pip install 'model-serving-bench[bench] @ {address}'\n" in readme

    monkeypatch.undo()  # an update from a checkout: the workflow needs a wheel from now on
    _, out, err = bench("init", project, "--update")
    assert "2 files written" in out
    assert err.startswith("harness/ has no wheel, which the workflow and `make` need: ")
    assert bench("init", project, "--update")[2] == ""


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (
            {
                "url": "https://git.example.org/harness.git",
                "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "abc"},
            },
            "git+https://git.example.org/harness.git@abc",
        ),
        (
            {
                "url": "https://git.example.org/all.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
                "subdirectory": "tools/harness",
            },
            "git+https://git.example.org/all.git@abc#subdirectory=tools/harness",
        ),
        ({"url": "file:///a.whl", "archive_info": {}}, None),
        ({"url": "https://hg.example.org/h", "vcs_info": {"vcs": "hg", "commit_id": "abc"}}, None),
        (None, None),
    ],
)
def test_the_address_is_that_of_the_commit_that_pip_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any] | None, address: str | None
) -> None:
    folder = tmp_path / "model_serving_bench-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: model-serving-bench\nVersion: 1\n", encoding="utf-8")
    if told is not None:
        (folder / "direct_url.json").write_text(json.dumps(told), encoding="utf-8")
    found = PathDistribution(folder)
    monkeypatch.setattr(own_origin, "own_distribution", lambda: found)
    assert own_origin.own_address() == address


def test_a_folder_that_is_no_project_is_not_updated(bench: Said, tmp_path: Path) -> None:
    code, _, err = bench("init", tmp_path, "--update")
    assert (code, err.count("\n")) == (2, 1)
    assert "has no services/project.json: write a project with `bench init DIR`" in err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_the_templates_marks(bench: Said, tmp_path: Path) -> None:
    bench("init", tmp_path / "p", "--model", model(tmp_path / "made", "model.onnx"))
    for path in [*made_of.WRITTEN, "compose.yaml"]:
        assert not re.search(r"@[A-Z_]+@", (tmp_path / "p" / path).read_text("utf-8")), path


def test_the_workflow_takes_the_actions_that_ours_takes_and_runs_what_exists(
    bench: Said, tmp_path: Path
) -> None:
    bench("init", tmp_path / "p")
    text = (tmp_path / "p" / ".github" / "workflows" / "bench.yml").read_text("utf-8")
    flow = yaml.safe_load(text)
    ours = (ROOT / ".github" / "workflows" / "bench.yml").read_text("utf-8")
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    assert set(uses) <= set(re.findall(r"uses: (.+)", ours))
    assert flow["permissions"] == {"contents": "read"}
    scripts = [step["run"] for job in flow["jobs"].values() for step in job["steps"] if "run" in step]
    assert not [script for script in scripts if "${{" in script]
    named = set(re.findall(r"services/[\w./]+", "\n".join(scripts)))
    assert named == {
        "services/tools/install.sh",
        "services/tools/gate_verdict.sh",
        "services/locks/bench.txt",
    }
    assert all((tmp_path / "p" / name).is_file() for name in named)
    checkouts = [
        step for job in flow["jobs"].values() for step in job["steps"] if "checkout" in step.get("uses", "")
    ]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_another_model_replaces_the_one_that_was_copied_and_never_one_that_came_since(
    bench: Said, tmp_path: Path
) -> None:
    project = tmp_path / "p"
    bench("init", project, "--model", model(tmp_path / "one", "model.onnx", "program.pt2"))
    (project / "model" / "program.pt2").unlink()  # what is named now is wanted, whatever was removed
    bench("init", project, "--update", "--model", model(tmp_path / "two", "program.pt2", version="2"))
    assert {path.name for path in (project / "model").iterdir()} == {"README.md", "model.json", "program.pt2"}
    assert set(services(project)) == {"torch_serving", "batched_serving"}

    (project / "model" / "program.pt2").write_bytes(b"trained again")
    before = contents(project)
    code, _, err = bench("init", project, "--update", "--model", tmp_path / "one")
    assert (code, err.count("\n")) == (2, 1)
    assert "program.pt2 is not as bench wrote it, and would be replaced: move it away, or name" in err
    assert contents(project) == before


def test_only_what_the_manifest_lists_is_a_form_of_the_model(bench: Said, tmp_path: Path) -> None:
    """An older form that `modelkit add` left there is loaded by no service."""
    folder = model(tmp_path / "made", "model.onnx")
    (folder / "program.pt2").write_bytes(b"of the model before")
    bench("init", tmp_path / "p", "--model", folder)
    assert set(services(tmp_path / "p")) == {"onnx_serving"}
    assert not (tmp_path / "p" / "model" / "program.pt2").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["gs://bucket/encoder/model.onnx"], "encoder"),
        (["gs://bucket/a-b/model.onnx", "--model-name", "encoder.2"], "encoder.2"),
        (["gs://bucket/model.onnx", "--model-name", "encoder"], "encoder"),
        (["gs://a/one/model.onnx", "gs://a/two/program.pt2", "--model-name", "encoder"], "encoder"),
    ],
)
def test_the_name_of_a_model_elsewhere_is_its_folders_or_the_one_that_is_given(
    bench: Said, tmp_path: Path, words: list[str], named: str
) -> None:
    code, _, err = bench("init", tmp_path / "p", "--model", *words)
    assert code == 0
    labels = [service["labels"]["bench.model"] for service in services(tmp_path / "p").values()]
    assert set(labels) == {named}
    told = "the model's name is taken from its address, encoder: if its model.json says another"
    assert (told in err) == ("--model-name" not in words)


NETWORK = """\
import torch


def make():
    return torch.nn.Linear(4, 2)
"""


@pytest.mark.parametrize(
    ("code", "copied"),
    [
        ("flat", {"nets.py", "deep/more.py"}),
        ("flat/nets.py", {"nets.py"}),
        ("package/nets", {"nets/__init__.py", "nets/small.py"}),
        ("package", {"nets/__init__.py", "nets/small.py"}),
    ],
)
def test_the_code_of_a_network_goes_along(bench: Said, tmp_path: Path, code: str, copied: set[str]) -> None:
    for path in ("flat/nets.py", "flat/deep/more.py", "package/nets/__init__.py", "package/nets/small.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(NETWORK, encoding="utf-8")
    for path in ("flat/.venv/lib/other.py", "flat/data.bin", "flat/__pycache__/nets.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    folder = model(tmp_path / "made", "weights.safetensors", architecture="nets:make")
    done, _, err = bench("init", tmp_path / "p", "--model", folder, "--code", tmp_path / code)
    assert (done, "model_code" in err) == (0, False)
    assert set(contents(tmp_path / "p" / "model_code")) == {"README.md", *copied}


def test_weights_without_their_module_are_one_line(bench: Said, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(NETWORK, encoding="utf-8")
    folder = model(tmp_path / "made", "weights.safetensors", architecture="nets:make")
    for code, says in (
        (
            tmp_path / "other.py",
            "--code has no module nets, and nets:make makes the network: name the folder",
        ),
        (folder, "holds no .py file: name a module, or a folder that has modules in it"),
        (tmp_path / "nowhere", "holds no .py file: name a module"),
    ):
        done, out, err = bench("init", tmp_path / "p", "--model", folder, "--code", code)
        assert (done, out, err.count("\n")) == (2, "", 1)
        assert says in err
        assert not (tmp_path / "p").exists()


def test_a_project_below_the_top_of_a_repository_says_where_its_workflow_must_lie(
    bench: Said, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    project = tmp_path / "models" / "our prices"
    _, _, err = bench("init", project)
    assert (
        "the project lies in models/our prices/ of a git repository: move its .github/workflows/bench.yml"
        in err
    )
    flow = yaml.safe_load((project / ".github" / "workflows" / "bench.yml").read_text("utf-8"))
    assert flow["defaults"]["run"]["working-directory"] == "models/our prices"
    kept = [
        step["with"]["path"]
        for job in flow["jobs"].values()
        for step in job["steps"]
        if "upload" in step.get("uses", "")
    ]
    assert kept == ["models/our prices/results/ci"] * 2

    (tmp_path / ".gitignore").write_text("/made/\n", encoding="utf-8")
    _, _, err = bench("init", tmp_path / "made" / "p")
    assert "git repository" not in err


def test_the_next_steps_are_those_of_where_it_was_typed(
    bench: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a checkout, where no program `bench` is installed, each step names the folder."""
    monkeypatch.setattr("sys.argv", ["/somewhere/bench/__main__.py"])
    _, out, err = bench("init", tmp_path / "our prices")
    shown = f"'{tmp_path}/our prices'"
    assert [line.strip() for line in out.removeprefix("next").splitlines()][1:] == [
        f"next    python -m modelkit add FILE --name NAME --to '{tmp_path}/our prices/model'",
        f"python -m bench init {shown} --update --model '{tmp_path}/our prices/model'",
        f"python -m bench requests make --root {shown} --strategy torch",
        f"python -m bench requests record --root {shown} --strategy torch",
        f"python -m bench run --root {shown}",
        f"and {tmp_path}/our prices/README.md",
    ]
    assert f"python -m pip wheel --no-deps --wheel-dir '{tmp_path}/our prices/harness' {ROOT}\n" in err


def test_a_folder_with_its_environment_alone_is_empty(bench: Said, tmp_path: Path) -> None:
    (tmp_path / "p" / ".venv").mkdir(parents=True)
    assert bench("init", tmp_path / "p")[0] == 0


def test_a_folder_that_cannot_be_written_is_one_line(bench: Said) -> None:
    code, out, err = bench("init", "/proc/p")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("bench: /proc/p cannot be written, ")
    assert err.endswith("name a folder that you may write, and files that you may read\n")


def test_a_wheel_that_was_put_there_is_not_missing(bench: Said, tmp_path: Path) -> None:
    project = tmp_path / "p"
    _, _, err = bench("init", project)
    assert "harness/ has no wheel" in err
    (project / "harness" / "bench-1.whl").write_bytes(b"")
    _, _, err = bench("init", project, "--update", "--model", model(tmp_path / "made", "model.onnx"))
    assert "left out: torch" in err
    assert "wheel" not in err


def test_a_project_needs_no_compiler() -> None:
    """What is made of the services alone goes along, with the packages that they usually have."""
    files = {str(file) for file in source_files(ROOT)}
    assert {"onnx_serving/Dockerfile", "locks/onnx.txt"} <= files
    assert not [file for file in files if "rust" in file or file.endswith(".Dockerfile") or "$" in file]
