"""A second harness on the same compose project is told to wait: it would end the first one's containers."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.measure.runtime.conflicts import ProjectLock

HOLD = """
import sys
from bench.measure.runtime.conflicts import ProjectLock
lock = ProjectLock(sys.argv[1])
lock.take()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_process_at_a_time_and_a_killed_one_leaves_nothing(request: pytest.FixtureRequest) -> None:
    project = f"lock-test-{id(request)}"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, project], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchError, match=f"another bench measures with the compose project {project}"):
            ProjectLock(project).take()
        other = ProjectLock(f"{project}-other")
        other.take()
        other.release()
    finally:
        holder.kill()
        holder.communicate()
    lock = ProjectLock(project)
    lock.take()
    lock.release()
    lock.take()
    lock.release()


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shared folder for temporary files, without sessions; gives the user's own in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    tmp_path.chmod(0o1777)
    return tmp_path / f"bench-{os.getuid()}"


no_session = pytest.mark.skipif(
    Path(f"/run/user/{os.getuid()}").exists(), reason="this user's session has a folder for running programs"
)


@no_session
def test_the_lock_lies_in_a_folder_that_is_the_user_s_alone(shared: Path) -> None:
    lock = ProjectLock("mine")
    lock.take()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o700
    assert [path.name for path in shared.iterdir()] == ["bench-mine.lock"]
    assert stat.S_IMODE((shared / "bench-mine.lock").stat().st_mode) == 0o600
    lock.release()


@pytest.mark.parametrize("kind", ["link", "hard link", "dangling link", "folder", "pipe"])
def test_what_the_lock_s_name_stands_for_is_never_emptied_nor_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    own, precious = tmp_path / "own", tmp_path / "precious"
    own.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
    precious.write_text("precious")
    file = own / "bench-mine.lock"
    match kind:
        case "link":
            file.symlink_to(precious)
        case "hard link":
            file.hardlink_to(precious)
        case "dangling link":
            file.symlink_to(tmp_path / "made")
        case "folder":
            file.mkdir()
        case _:
            os.mkfifo(file)
    lock = ProjectLock("mine")
    if kind == "hard link":
        lock.take()
        lock.release()
    else:
        with pytest.raises(BenchError, match=r"bench-mine\.lock in .*: remove it"):
            lock.take()
    assert precious.read_text() == "precious"
    assert not (tmp_path / "made").exists()


@no_session
@pytest.mark.parametrize("kind", ["link", "open to others", "a file", "someone else's"])
def test_a_folder_that_is_not_the_user_s_alone_is_refused(shared: Path, tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    match kind:
        case "link":
            shared.symlink_to(elsewhere)
        case "a file":
            shared.write_text("kept")
        case "open to others":
            shared.mkdir()
            shared.chmod(0o777)
        case _:
            if os.getuid() != 0:
                pytest.skip("only root makes folders of others")
            shared.mkdir(mode=0o700)
            os.chown(shared, 65534, 65534)
    with pytest.raises(BenchError, match=r"remove .*, or name a folder of your own with XDG_RUNTIME_DIR"):
        ProjectLock("mine").take()
    assert list(elsewhere.iterdir()) == []
    if kind == "a file":
        assert shared.read_text() == "kept"


def test_a_session_s_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(theirs))
    lock = ProjectLock("mine")
    lock.take()
    lock.release()
    assert list(theirs.iterdir()) == []
