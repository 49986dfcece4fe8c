"""Posts the gate's verdict as the one comment of its pull request, from the artifact of an untrusted run.

Run by .github/workflows/comment.yml with a token that may write. The artifact was made by the pull request's
own code. So nothing of it is executed or written to disk, its size is bounded, its number must name a pull
request whose head is the commit and repository of the run, and its text may hold nothing that acts. It needs
Python alone.
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
# GitHub refuses a comment of 65 536
MOST_CHARACTERS = 60_000
MOST_PAGES = 20
TITLE = re.compile(r"## Gate: [a-z ,]+")
TAG = re.compile(r"</?(?:details|summary)>")
ENTITY = re.compile(r"&(?:amp|lt|gt);")
FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
# links, pictures and addresses, in every way that Markdown has of writing them
LINK = re.compile(r"\]\(|\]\[|\]:|://|\bwww\.|\bmailto:", re.IGNORECASE)
# a mention notifies a person, a number another discussion; neither does with a word joiner behind its sign
CALL = re.compile(r"@(?=\w)|(?<=\bGH)-(?=\d)|#(?=\d)", re.IGNORECASE)
JOINER = "\N{WORD JOINER}"
NOTE = (
    "The pull request's own code measured and wrote this: it tells its author what changed. Whoever merges "
    "reviews the code as ever."
)


class RefusedError(Exception):
    """The artifact is not what the gate makes, or GitHub refuses; one line says what."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that the artifact comes from, as GitHub itself tells it."""

    run: str
    commit: str
    repository_id: str


class GitHub:
    """The few calls that are needed, with the token kept from every other host."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._base = f"{api}/repos/{repository}"
        self._token = token

    def json(self, path: str, method: str = "GET", body: Mapping[str, str] | None = None) -> Any:
        """The parsed answer."""
        return json.loads(self.bytes(path, method, body))

    def bytes(self, path: str, method: str = "GET", body: Mapping[str, str] | None = None) -> bytes:
        """The answer's body, of 4 MiB at most; raises RefusedError where GitHub answers with an error."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._base}{path}", data, method=method)  # noqa: S310  # the runner's own address
        request.add_header("Accept", "application/vnd.github+json")
        # an artifact is fetched from a store of another host, to which the request is redirected
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                content: bytes = answer.read(4 * 1024**2)
        except (OSError, http.client.HTTPException) as error:
            raise RefusedError(f"{method} {path} failed: {error}") from None
        return content


def main() -> int:
    """Post, or say why not; returns 0 where there is nothing to post, 1 where it was refused."""
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
    """Post or update the comment and return what was done; raises RefusedError."""
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
    """The texts in the run's artifact by name; None where the run left none or an empty one."""
    found = github.json(f"/actions/runs/{run}/artifacts?name={ARTIFACT}")["artifacts"]
    if not found or found[0]["expired"]:
        return None
    if found[0]["size_in_bytes"] > MOST_BYTES:
        raise RefusedError(f"the artifact is larger than {MOST_BYTES} bytes")
    content = github.bytes(f"/actions/artifacts/{int(found[0]['id'])}/zip")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = {name: _member(archive, name) for name in ("number", "gate.md")}
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise RefusedError(f"the artifact is not what the gate makes: {error}") from None
    return texts if texts["gate.md"] else None


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """One file's text, read no further than the bound, whatever its header says."""
    with archive.open(name) as member:
        content = member.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RefusedError(f"{name} is larger than {MOST_BYTES} bytes")
    return content.decode("utf-8")


def harmless(text: str) -> str:
    """The gate's Markdown with mentions and references defused; raises RefusedError for any other text."""
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
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs") for letter in line):
            raise RefusedError(f"line {number} holds a control character")
    if text.count("<details>") != text.count("</details>") or len(FENCE.findall(text)) % 2:
        raise RefusedError("the text leaves a part open, which would swallow what follows")
    return CALL.sub(lambda found: found[0] + JOINER, text)


def own_comment(github: GitHub, number: str) -> int | None:
    """The id of the comment that an earlier run posted; None where there is none yet."""
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
