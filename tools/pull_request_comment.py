"""Posts the gate's verdict as a single comment on its pull request, from the artifact of an untrusted run.

.github/workflows/comment.yml runs it with a token that may write. The pull request's own code made the
artifact. So no part of the artifact is executed or written to disk, its size is limited, its number must name
a pull request whose head is the commit and repository of the run, and its text must not contain anything with
an effect, such as a link or a mention. The script needs only Python.
"""

import http.client
import io
import json
import os
import re
import sys
import unicodedata
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ARTIFACT = "gate-comment"
MARK = "<!-- model-serving-bench: gate -->"
AUTHOR = "github-actions[bot]"
MOST_BYTES = 256 * 1024
# GitHub refuses a comment of 65 536 characters
MOST_CHARACTERS = 60_000
MOST_PAGES = 20
TITLE = re.compile(r"## Gate: [a-z ,]+")
TAG = re.compile(r"</?(?:details|summary)>")
ENTITY = re.compile(r"&(?:amp|lt|gt);")
FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
# links, pictures and addresses, in every form that Markdown allows
LINK = re.compile(r"\]\(|\]\[|\]:|://|\bwww\.|\bmailto:", re.IGNORECASE)
# a mention notifies a person and a number links a discussion; a word joiner after the sign prevents both
CALL = re.compile(r"@(?=\w)|(?<=\bGH)-(?=\d)|#(?=\d)", re.IGNORECASE)
JOINER = "\N{WORD JOINER}"
NOTE = (
    "The pull request's own code measured and wrote this, to tell its author what changed. Review the code "
    "before merging, as always."
)


class RefusedError(Exception):
    """The artifact does not come from the gate, or GitHub refuses; the message is one line."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that made the artifact, according to GitHub itself."""

    run: str
    commit: str
    repository_id: str


class GitHub:
    """The few necessary calls of GitHub's API; the token is sent to no other host."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._base = f"{api}/repos/{repository}"
        self._token = token

    def json(self, path: str, method: str = "GET", body: Mapping[str, str] | None = None) -> Any:
        """Return the parsed answer."""
        return json.loads(self.bytes(path, method, body))

    def bytes(self, path: str, method: str = "GET", body: Mapping[str, str] | None = None) -> bytes:
        """Return the answer's body, of at most 4 MiB; raises RefusedError if GitHub answers with an error."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._base}{path}", data, method=method)  # noqa: S310  # the runner's own address
        request.add_header("Accept", "application/vnd.github+json")
        # the request for an artifact is redirected to a store on another host, which must not get the token
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                content: bytes = answer.read(4 * 1024**2)
        except (OSError, http.client.HTTPException) as error:
            raise RefusedError(f"{method} {path} failed: {error}") from None
        return content


def main() -> int:
    """Post, or say why not; return 0 if posted or if there is nothing to post, 1 if refused."""
    given = os.environ
    origin = Origin(given["RUN_ID"], given["HEAD_SHA"], given["HEAD_REPOSITORY_ID"])
    github = GitHub(given["GITHUB_API_URL"], given["GITHUB_REPOSITORY"], given["GITHUB_TOKEN"])
    try:
        print(f"comment: {post(github, origin)}")
    except RefusedError as error:
        print(f"comment: nothing posted: {error}", file=sys.stderr)
        return 1
    return 0


def post(github: GitHub, origin: Origin) -> str:
    """Post or update the comment; return a sentence that says what was done; raises RefusedError."""
    files = artifact_files(github, origin.run)
    if files is None:
        return "the run left no verdict, so there is nothing to post"
    number = files["number"].strip()
    if not re.fullmatch(r"[1-9]\d{0,9}", number, re.ASCII):
        raise RefusedError("the artifact's number is not a number")
    head = github.json(f"/pulls/{number}")["head"]
    if str((head["repo"] or {}).get("id")) != origin.repository_id:
        raise RefusedError(f"pull request {number} is not from the repository that the run was of")
    if head["sha"] != origin.commit:
        return f"pull request {number} has moved on from {origin.commit[:7]}, whose verdict this is"
    text = f"{MARK}\n{harmless(files['gate.md'])}\n\n---\n\n{NOTE} Commit {origin.commit[:7]}.\n"
    old = own_comment(github, number)
    if old is None:
        github.json(f"/issues/{number}/comments", "POST", {"body": text})
        return f"posted to pull request {number}"
    github.json(f"/issues/comments/{old}", "PATCH", {"body": text})
    return f"updated at pull request {number}"


def artifact_files(github: GitHub, run: str) -> dict[str, str] | None:
    """Return the texts in the run's artifact by name; None if the artifact is missing or empty."""
    artifacts = github.json(f"/actions/runs/{run}/artifacts?name={ARTIFACT}")["artifacts"]
    if not artifacts or artifacts[0]["expired"]:
        return None
    if artifacts[0]["size_in_bytes"] > MOST_BYTES:
        raise RefusedError(f"the artifact is larger than {MOST_BYTES} bytes")
    content = github.bytes(f"/actions/artifacts/{int(artifacts[0]['id'])}/zip")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = {name: _member(archive, name) for name in ("number", "gate.md")}
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise RefusedError(f"the artifact does not come from the gate: {error}") from None
    return texts if texts["gate.md"] else None


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """Return one file's text; reads no further than the limit, whatever the header says."""
    with archive.open(name) as member:
        content = member.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RefusedError(f"{name} is larger than {MOST_BYTES} bytes")
    return content.decode("utf-8")


def harmless(text: str) -> str:
    """Return the gate's Markdown with mentions and references disarmed; raises RefusedError for others."""
    if len(text) > MOST_CHARACTERS:
        raise RefusedError(f"the text is longer than {MOST_CHARACTERS} characters")
    if not TITLE.fullmatch(text.partition("\n")[0]):
        raise RefusedError("the text does not begin with the gate's title")
    for number, line in enumerate(text.split("\n"), 1):
        rest = ENTITY.sub("", TAG.sub("", line))
        if "<" in rest or "&" in rest:
            raise RefusedError(f"line {number} holds HTML that the gate does not write")
        if LINK.search(line):
            raise RefusedError(f"line {number} holds a link or a picture, which the gate does not write")
        # the gate too writes a joiner where a sign would call somebody
        letters = set(line) - {JOINER}
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs") for letter in letters):
            raise RefusedError(f"line {number} holds a control character")
    if text.count("<details>") != text.count("</details>") or len(FENCE.findall(text)) % 2:
        raise RefusedError("the text leaves a part open, which would hide the text after it")
    return CALL.sub(lambda call: call[0] + JOINER, text)


def own_comment(github: GitHub, number: str) -> int | None:
    """Return the id of an earlier run's comment; None if there is none yet."""
    for page in range(1, MOST_PAGES + 1):
        comments = github.json(f"/issues/{number}/comments?per_page=100&page={page}")
        for comment in comments:
            ours = (comment["user"] or {}).get("login") == AUTHOR
            if ours and str(comment["body"]).startswith(MARK):
                return int(comment["id"])
        if len(comments) < 100:
            break
    return None


if __name__ == "__main__":
    sys.exit(main())
