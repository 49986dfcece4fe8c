"""A commit's tree is written whole, as git checks it out, or it is said what is missing of it."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError, UsageError
from bench.measure.runtime.base_commit import base_tree
from bench.measure.runtime.commit_files import find_commit, write_commit
from bench.measure.runtime.registry import load_registry

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
COMPOSE = """
services:
  thing:
    image: x
    env_file: [{path: settings/thing.env, required: false}]
    ports: ["8081:8080"]
    labels: {bench.strategy: thing, bench.port: "8080"}
"""


def git(folder: Path, *args: str) -> str:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    allowed = ("-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", *identity, *allowed, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, **files: str | bytes) -> str:
    """A commit with these files; "__" in a name is a slash, a leading "_" a dot."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name("." + path.name[1:]) if path.name.startswith("_") else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "--all", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "A state")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, a="a\n")
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    return folder


def written(repository: Path, copy: Path, ref: str = "HEAD") -> dict[str, bytes]:
    write_commit(repository, find_commit(repository, ref), copy, ref)
    return {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*") if path.is_file()}


def test_what_an_archive_leaves_out_or_changes_is_there(repository: Path, copy: Path) -> None:
    attributes = "kept export-ignore\nfolder export-ignore\nversion export-subst\n"
    commit(repository, _gitattributes=attributes, kept="k", folder__b="b", version="$Format:%H$")
    assert written(repository, copy) == {
        ".gitattributes": attributes.encode(),
        "a": b"a\n",
        "kept": b"k",
        "folder/b": b"b",
        "version": b"$Format:%H$",
    }


def test_modes_links_and_odd_names_are_kept(repository: Path, copy: Path, tmp_path: Path) -> None:
    (repository / "run").write_text("#!/bin/sh\n")
    (repository / "run").chmod(0o755)
    (repository / "link").symlink_to("a")
    (repository / "out").symlink_to(tmp_path / "elsewhere")
    commit(repository, **{"a name with ä\nand a line": "x"})
    assert written(repository, copy)["a name with ä\nand a line"] == b"x"
    assert os.access(copy / "run", os.X_OK)
    assert not os.access(copy / "a", os.X_OK)
    assert (copy / "link").readlink() == Path("a")
    assert (copy / "out").readlink() == tmp_path / "elsewhere"


def test_line_ends_are_those_of_the_commit_s_own_attributes(repository: Path, copy: Path) -> None:
    commit(repository, _gitattributes="*.txt text eol=crlf\n", b__txt="x")
    before = commit(repository, **{"c.txt": "one\ntwo\n"})
    commit(repository, _gitattributes="*.txt text eol=lf\n")
    assert written(repository, copy, before)["c.txt"] == b"one\r\ntwo\r\n"


def test_a_sparse_checkout_leaves_nothing_out(repository: Path, copy: Path) -> None:
    commit(repository, far__b="b", near__c="c")
    git(repository, "sparse-checkout", "set", "near")
    assert not (repository / "far").exists()
    assert {"far/b", "near/c"} <= written(repository, copy).keys()


def test_head_s_own_files_and_hooks_stay_as_they_are(repository: Path, copy: Path) -> None:
    before = commit(repository, a="before")
    commit(repository, a="now")
    (repository / "a").write_text("changed")
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {repository}/hooked\n")
    hook.chmod(0o755)
    status = git(repository, "status", "--porcelain")
    assert written(repository, copy, before)["a"] == b"before"
    assert (repository / "a").read_text() == "changed"
    assert git(repository, "status", "--porcelain") == status == "M a"
    assert not (repository / "hooked").exists()


def test_in_a_hook_the_repository_is_that_of_the_folder(
    repository: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))
    (repository / "folder").mkdir()
    assert written(repository / "folder", copy) == {"a": b"a\n"}
    monkeypatch.undo()
    assert git(repository, "status", "--porcelain") == ""


def test_a_linked_worktree_is_a_repository_too(repository: Path, copy: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert written(tmp_path / "linked", copy) == {"a": b"a\n"}


@pytest.fixture
def parent(repository: Path, tmp_path: Path) -> Path:
    """A repository with another in it as a submodule, which holds a third."""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for folder in (inner, outer):
        folder.mkdir()
        git(folder, "init", "--quiet")
    commit(inner, i="inner")
    git(outer, "submodule", "--quiet", "add", str(inner), "deep")
    commit(outer, o="outer")
    git(repository, "submodule", "--quiet", "add", str(outer), "libs/part")
    git(repository, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(repository)
    return repository


def test_submodules_are_written_too(parent: Path, copy: Path) -> None:
    found = written(parent, copy)
    assert found["libs/part/o"] == b"outer"
    assert found["libs/part/deep/i"] == b"inner"


def test_a_submodule_that_is_not_checked_out_is_written_if_git_has_it(parent: Path, copy: Path) -> None:
    git(parent, "submodule", "--quiet", "deinit", "--force", "--all")
    assert written(parent, copy)["libs/part/o"] == b"outer"


def test_a_submodule_that_is_not_here_is_named(parent: Path, copy: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(parent), "clone")
    with pytest.raises(
        UsageError, match=r"HEAD holds the submodule libs/part at .* not here: .* --init libs"
    ):
        written(tmp_path / "clone", copy)


def test_a_submodule_whose_commit_is_not_here_is_named(parent: Path, copy: Path) -> None:
    git(parent, "update-index", "--cacheinfo", f"160000,{'1' * 40},libs/part")
    git(parent, "commit", "--quiet", "--message", "Of nowhere")
    with pytest.raises(UsageError, match=r"holds the submodule libs/part at 1111111, which is not here"):
        written(parent, copy)


def test_a_large_file_that_is_elsewhere_is_named(repository: Path, copy: Path) -> None:
    commit(repository, _gitattributes="*.bin filter=lfs\n", **{"model.bin": POINTER, "text": POINTER})
    with pytest.raises(UsageError, match=r"model\.bin of HEAD is a pointer.*git lfs fetch"):
        written(repository, copy)


def test_a_filter_that_brings_content_is_heard_and_one_that_fails_is_said(
    repository: Path, copy: Path, tmp_path: Path
) -> None:
    commit(repository, _gitattributes="*.bin filter=lfs\n", **{"model.bin": POINTER})
    git(repository, "config", "filter.lfs.smudge", "echo content")
    assert written(repository, copy)["model.bin"] == b"content\n"
    git(repository, "config", "filter.lfs.required", "true")
    git(repository, "config", "filter.lfs.smudge", "false")
    again = tmp_path / "again"
    again.mkdir()
    with pytest.raises(UsageError, match=r"files of HEAD are not all here .*model\.bin.*git lfs fetch"):
        written(repository, again)


def test_a_file_whose_content_is_lost_is_named(repository: Path, copy: Path) -> None:
    commit(repository, lost="lost")
    blob = git(repository, "rev-parse", "HEAD:lost")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(UsageError, match=r"HEAD.*(lost|" + blob + ")"):
        written(repository, copy)


@pytest.mark.parametrize("target", ["../beside", ".git/annex"])
def test_a_link_to_what_lies_beside_the_commit_is_named(
    repository: Path, copy: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "beside").write_text("x")
    (repository / ".git" / "annex").write_text("x")
    (repository / "link").symlink_to(target)
    commit(repository)
    copy = copy / "deeper"
    copy.mkdir()
    with pytest.raises(UsageError, match=f"link of HEAD is a link to {target}, which no commit holds: put"):
        written(repository, copy)


def test_a_link_to_what_is_ignored_stays_a_link(repository: Path, copy: Path) -> None:
    (repository / "kept").write_text("x")
    (repository / ".git" / "info" / "exclude").write_text("kept\n")
    (repository / "link").symlink_to("kept")
    commit(repository)
    assert written(repository, copy) == {"a": b"a\n"}
    assert (copy / "link").readlink() == Path("kept")


def test_a_clone_whose_files_are_at_a_host_that_is_gone_is_said(
    repository: Path, copy: Path, tmp_path: Path
) -> None:
    commit(repository, far="far")
    git(repository, "config", "uploadpack.allowFilter", "true")
    partly = tmp_path / "partly"
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{repository}", "partly")
    repository.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"files of HEAD are not all here .*: bring what is missing with"):
        written(partly, copy)


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes folders of others")
def test_a_repository_of_someone_else_is_said_with_git_s_own_remedy(repository: Path) -> None:
    for path in (repository, repository / ".git"):
        os.chown(path, 65534, 65534)
    with pytest.raises(BenchError, match=r"dubious ownership.*: git config --global --add safe\.directory"):
        find_commit(repository, "HEAD")


def test_a_commit_that_a_shallow_clone_lacks_is_said(repository: Path, tmp_path: Path) -> None:
    commit(repository, a="later")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(
        UsageError, match=r"no commit HEAD~1: .*this clone is shallow, `git fetch --unshallow`"
    ):
        find_commit(tmp_path / "shallow", "HEAD~1")
    with pytest.raises(UsageError, match=r"no commit nothing: .*`git fetch` brings others"):
        find_commit(repository, "nothing")


def test_the_project_need_not_be_the_repository_s_top(repository: Path) -> None:
    commit(repository, bench__serving__compose__yaml="", shared__code="shared")
    (repository / "bench" / "serving" / "compose" / "yaml").unlink()
    folder = repository / "bench" / "serving"
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "settings").mkdir()
    commit(repository, bench__serving__settings__usual="")
    (folder / "compose.yaml").write_text(COMPOSE.replace("8081", "8082"))
    for name, text in ((".env", "A=1"), ("settings/thing.env", "B=2"), ("compose.override.yaml", "")):
        (folder / name).write_text(text)
    with base_tree(load_registry(folder, {}), "HEAD") as tree:
        assert load_registry(tree.root, {}).services["thing"].published == 8081
        # what images may be built from, and what is configured here and tracked by nobody
        assert (tree.root / ".." / ".." / "shared" / "code").read_text() == "shared"
        assert (tree.root / ".env").read_text() == "A=1"
        assert (tree.root / "settings" / "thing.env").read_text() == "B=2"
        assert (tree.root / "compose.override.yaml").exists()
        left = tree.root
    assert not left.exists()


def test_what_head_alone_tracks_is_no_configuration_of_base(repository: Path) -> None:
    before = commit(repository, **{"compose.yaml": COMPOSE})
    commit(repository, **{"compose.override.yaml": "services: {thing: {environment: {A: b}}}", ".env": "C=d"})
    with base_tree(load_registry(repository, {}), before) as tree:
        assert not (tree.root / "compose.override.yaml").exists()
        assert not (tree.root / ".env").exists()


def test_files_that_are_named_by_their_whole_path_are_base_s_own(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = commit(repository, **{"compose.yaml": COMPOSE, "more.yaml": "services: {}"})
    commit(repository, **{"compose.yaml": COMPOSE.replace("8081", "8082")})
    monkeypatch.setenv("COMPOSE_FILE", f"{repository}/compose.yaml:more.yaml")
    head = load_registry(repository)
    with base_tree(head, before) as tree:
        base = load_registry(tree.root, tree.environment)
    assert (head.services["thing"].published, base.services["thing"].published) == (8082, 8081)
