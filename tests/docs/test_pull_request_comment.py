"""The one comment of a pull request: posted, updated, and refused where it is not what the gate makes."""

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.gate import Batch, judge, read_rules
from bench.report.verdict import FORMATS
from bench.run_file import read_run
from tools.pull_request_comment import RefusedError, harmless

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "pull_request_comment.py"
REPOSITORY = "owner/name"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MARK = "<!-- model-serving-bench: gate -->"
GOOD = "## Gate: pass\n\n**All is well.**\n\n| a |\n| --- |\n| 1.00 |\n"


@dataclass
class Hub:
    """What the server knows, and what was asked of it."""

    files: dict[str, bytes] | None = None
    archive: bytes | None = None
    size: int | None = None
    head: dict[str, Any] = field(default_factory=lambda: {"sha": COMMIT, "repo": {"id": 77}})
    comments: list[dict[str, Any]] = field(default_factory=list)
    written: list[tuple[str, str, str]] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def zipped(self) -> bytes:
        if self.archive is not None:
            return self.archive
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in (self.files or {}).items():
                archive.writestr(name, content)
        return buffer.getvalue()

    def answer(self, path: str) -> Any:
        if path.startswith("/actions/runs/5/artifacts"):
            size = self.size if self.size is not None else len(self.zipped)
            one = {"id": 9, "expired": False, "size_in_bytes": size}
            return {"artifacts": [one] if self.files is not None or self.archive is not None else []}
        if path.startswith("/pulls/3"):
            return {"head": self.head}
        if path.startswith("/issues/3/comments"):
            page = int(path.rpartition("=")[2])
            return self.comments[100 * (page - 1) : 100 * page]
        return None


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        self.hub.asked.append((self.path, self.headers.get("Authorization")))
        if self.path == "/store/9":
            return self._send(200, self.hub.zipped)
        path = self.path.removeprefix(f"/repos/{REPOSITORY}")
        if path == "/actions/artifacts/9/zip":
            self.send_response(302)
            self.send_header("Location", "/store/9")
            self.end_headers()
            return None
        found = self.hub.answer(path)
        return self._send(404 if found is None else 200, json.dumps(found).encode())

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))["body"]
        path = self.path.removeprefix(f"/repos/{REPOSITORY}")
        self.hub.written.append((self.command, path, body))
        self._send(200, b"{}")

    do_PATCH = do_POST  # noqa: N815  # the name that http.server looks for

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A server that answers as GitHub does; its address is in the environment that `tool` passes on."""
    Handler.hub = Hub(files={"number": b"3\n", "gate.md": GOOD.encode()})
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        os.environ["TEST_API"] = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Handler.hub
        server.shutdown()
        thread.join()
        del os.environ["TEST_API"]


def tool(repository_id: str = "77") -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "GITHUB_API_URL": os.environ["TEST_API"],
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": "s3cret",
        "RUN_ID": "5",
        "HEAD_SHA": COMMIT,
        "HEAD_REPOSITORY_ID": repository_id,
    }
    command = [sys.executable, "-S", "-E", str(TOOL)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_first_verdict_is_posted_and_the_token_goes_to_no_other_host(hub: Hub) -> None:
    done = tool()
    assert (done.returncode, done.stdout) == (0, "comment: posted to pull request 3\n"), done.stderr
    ((method, path, body),) = hub.written
    assert (method, path) == ("POST", "/issues/3/comments")
    assert body.startswith(f"{MARK}\n{GOOD}")
    assert "The pull request's own code measured and wrote this" in body
    assert body.rstrip().endswith("Commit 0123456.")
    tokens = dict(hub.asked)
    assert tokens.pop("/store/9") is None
    assert set(tokens.values()) == {"Bearer s3cret"}


def test_a_later_verdict_replaces_the_comment_of_ours_and_no_other(hub: Hub) -> None:
    someone = {"id": 1, "user": {"login": "someone"}, "body": f"{MARK} mine"}
    other_bot = {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "coverage"}
    ours = {"id": 4, "user": {"login": "github-actions[bot]"}, "body": f"{MARK}\nold"}
    hub.comments = [someone, other_bot, *[{**other_bot, "user": None}] * 120, ours]
    done = tool()
    assert done.stdout == "comment: updated at pull request 3\n", done.stderr
    assert [(method, path) for method, path, _ in hub.written] == [("PATCH", "/issues/comments/4")]


def test_what_calls_people_or_discussions_is_defused(hub: Hub) -> None:
    calls = "## Gate: pass\n\n@someone, o/n#12, GH-12, \\@someone, x@sha256:1, Linux #1 SMP, ### no\n"
    hub.files = {"number": b"3", "gate.md": calls.encode()}
    assert tool().returncode == 0
    body = hub.written[0][2]
    assert "@\N{WORD JOINER}someone, o/n#\N{WORD JOINER}12, GH-\N{WORD JOINER}12, \\@\N{WORD JOINER}" in body
    assert "### no" in body


def test_nothing_is_posted_where_the_run_left_nothing_or_the_pull_request_moved_on(hub: Hub) -> None:
    hub.head["sha"] = "f" * 40
    moved = tool()
    hub.files = {"number": b"3", "gate.md": b""}
    empty = tool()
    hub.files = None
    none = tool()
    assert [done.returncode for done in (moved, empty, none)] == [0, 0, 0]
    assert "has moved on" in moved.stdout
    assert "nothing to post" in empty.stdout
    assert "nothing to post" in none.stdout
    assert hub.written == []


REFUSED = {
    "a number that is none": ({"number": b"3/../4", "gate.md": GOOD.encode()}, "is not a number"),
    "an unknown pull request": ({"number": b"8", "gate.md": GOOD.encode()}, "GET /pulls/8 failed"),
    "no text": ({"number": b"3"}, "does not come from the gate"),
    "a text that is none": ({"number": b"3", "gate.md": b"\xff\xfe"}, "does not come from the gate"),
    "a large text": ({"number": b"3", "gate.md": b"## Gate: pass\n" + b"a" * 400_000}, "larger than"),
    "a long text": ({"number": b"3", "gate.md": b"## Gate: pass\n" + b"a" * 61_000}, "longer than 60000"),
}
ACTING = [
    ("Hello\n", "begin with the gate's title"),
    ("## Gate: pass <script>\n", "title"),
    ("<script>alert(1)</script>", "HTML"),
    ("<img src=x>", "HTML"),
    ("<details open>", "HTML"),
    ("<!-- hidden -->", "HTML"),
    ("<//evil.example>", "HTML"),
    ("&#64;someone", "HTML"),
    ("&commat;someone", "HTML"),
    ("[all is well](//evil.example)", "link"),
    ("![](//evil.example/x.png)", "link"),
    ("[a][b]", "link"),
    ("[a]: //evil.example", "link"),
    ("see https://evil.example", "link"),
    ("see www.evil.example", "link"),
    ("abc\N{RIGHT-TO-LEFT OVERRIDE}cba", "control"),
    ("a\N{ZERO WIDTH SPACE}b", "control"),
    ("a\x1b[31m", "control"),
    ("a\rb", "control"),
    ("<details><summary>a</summary>", "leaves a part open"),
    ("```sh", "leaves a part open"),
]


@pytest.mark.parametrize("name", REFUSED)
def test_an_artifact_that_is_not_the_gates_is_refused_in_one_line(hub: Hub, name: str) -> None:
    hub.files, says = REFUSED[name]
    refused(hub, says)


@pytest.mark.parametrize(("text", "says"), ACTING, ids=range(len(ACTING)))
def test_a_text_that_acts_is_refused(text: str, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        harmless(text if says.endswith("title") else f"{GOOD}\n{text}\n")


def test_an_archive_that_is_none_too_large_or_of_another_repository_is_refused(hub: Hub) -> None:
    hub.archive = b"no archive"
    refused(hub, "does not come from the gate")
    hub.archive, hub.size = None, 10**9
    refused(hub, "the artifact is larger than")
    hub.size = None
    refused(hub, "is not from the repository", repository_id="78")
    hub.head["repo"] = None
    refused(hub, "is not from the repository")


def refused(hub: Hub, says: str, repository_id: str = "77") -> None:
    done = tool(repository_id)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("comment: nothing posted: ")
    assert says in done.stderr
    assert hub.written == []


def test_what_the_gate_writes_is_posted(hub: Hub) -> None:
    """A real judgement, of two committed runs of other machines' settings."""
    base, head = (
        read_run(ROOT / "results" / name) for name in ("20261124T175723Z-e214b0c", "20261124T210427Z-db782fb")
    )
    batch = Batch(base, head, paired=False, base_name="base", head_name="head")
    text = FORMATS["markdown"].render(judge(read_rules(ROOT / "gate.toml"), batch, None))
    hub.files = {"number": b"3", "gate.md": text.encode()}
    done = tool()
    assert done.returncode == 0, done.stderr
    assert hub.written[0][2].startswith(f"{MARK}\n## Gate: ")
