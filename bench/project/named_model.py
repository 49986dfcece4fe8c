"""A model that `modelkit add` has taken in: which forms of it are where, as manifest or addresses say."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from bench.errors import UsageError
from bench.project.digests import sha256
from bench.project.project_plan import GRAPH, MOUNTED, PROGRAM, WEIGHTS

MANIFEST = "model.json"
FORMS = (GRAPH, PROGRAM, WEIGHTS)
# graphs that no strategy of a project serves
NETWORKS = ("network.onnx", "network_plain.onnx", "network_int8.onnx")
REMEDY = "take the model in with `modelkit add FILE --name NAME --to FOLDER`, and name that folder"
OF_TENSORS = ("json", "msgpack", "oip-json", "oip-binary")
# what has a meaning of its own where compose reads an address
SPECIAL = set("${}\"'\\ \t\n")
# as the services read it from a manifest: a name is part of a path
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NAME_RULE = "letters, digits, '.', '_' and '-', a letter or digit first"


@dataclass(frozen=True, slots=True)
class NamedModel:
    """What --model names: the address of each form, and the files to copy into the project's model folder.

    The `name` is that of a manifest that lies here; if the manifest lies elsewhere, `guess` is the name of
    its folder, where `modelkit add` may have put it under this name or another.
    """

    name: str | None
    addresses: Mapping[str, str]
    files: Mapping[str, Path]
    encodings: tuple[str, ...] | None = None
    architecture: str | None = None
    guess: str | None = None


def read_models(named: Iterable[str], model_name: str | None = None) -> NamedModel:
    """The model of which the words name the forms; raises UsageError for what no strategy could serve.

    `model_name` is the name in its manifest as the user says it.
    """
    found = [_remote(word) if "://" in word else _local(Path(word)) for word in named]
    addresses: dict[str, str] = {}
    for one in found:
        for form, uri in one.addresses.items():
            if addresses.setdefault(form, uri) != uri:
                raise UsageError(
                    f"{addresses[form]} and {uri} are the same form of a model: name one of them"
                )
    manifests = {one.files[MANIFEST] for one in found if MANIFEST in one.files}
    if len(manifests) > 1:
        raise UsageError("the files named are of two models, with a model.json each: name the forms of one")
    known = next((one.name for one in found if one.name), None)
    if model_name is not None:
        _require_name(model_name, "--model-name")
        if known not in (None, model_name):
            raise UsageError(f"--model-name is {model_name}, and {MANIFEST} says {known}: leave it out")
    guess = None if known or model_name else _guess(found)
    return NamedModel(
        name=model_name or known or guess,
        addresses=addresses,
        files={name: file for one in found for name, file in one.files.items()},
        encodings=next((one.encodings for one in found if one.encodings), None),
        architecture=next((one.architecture for one in found if one.architecture), None),
        guess=guess,
    )


def _require_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(f"{where} says {name!r}, which is not the name of a model: use {NAME_RULE}")


def _guess(found: Iterable[NamedModel]) -> str | None:
    """The one name that the addresses suggest; raises UsageError if they suggest none, or several."""
    guesses = {one.guess for one in found if one.addresses}
    if not guesses:
        return None
    (guess, *others) = guesses
    if others or guess is None or not NAME.fullmatch(guess):
        raise UsageError(
            f"the addresses do not say the model's name: give --model-name NAME, the one in its {MANIFEST}"
        )
    return guess


def _remote(uri: str) -> NamedModel:
    parts = urlsplit(uri)
    path = PurePosixPath(unquote(parts.path))
    if parts.scheme not in ("gs", "https") or not parts.netloc:
        raise UsageError(
            f"{uri} is not the address of a model: give gs://bucket/name, https://host/path or a folder"
        )
    if path.suffix not in FORMS:
        raise UsageError(f"{uri} names no file that ends in {', '.join(FORMS)}: name each form of the model")
    if SPECIAL & set(uri) or parts.username or parts.query or not uri.isprintable():
        raise UsageError(
            f"{parts.scheme}://{parts.hostname} has characters that compose.yaml would read "
            "otherwise, or a secret: set TORCH_MODEL_URI and ONNX_MODEL_URI instead"
        )
    return NamedModel(None, {path.suffix: uri}, {}, guess=path.parent.name or None)


def _local(path: Path) -> NamedModel:
    if not path.exists():
        raise UsageError(f"{path} does not exist: {REMEDY}")
    folder = path if path.is_dir() else path.parent
    manifest = _manifest(folder)
    if path.is_dir():
        files = [
            file
            for file in sorted(folder.iterdir())
            if file.suffix in FORMS and file.name not in NETWORKS and file.is_file()
        ]
    else:
        files = [path] if path.suffix in FORMS else []
    if not files:
        raise UsageError(f"{path} has no file that ends in {', '.join(FORMS)}: {REMEDY}")
    listed = _listed(files, manifest, folder)
    _require_name(str(manifest.get("name", "")), str(folder / MANIFEST))
    return NamedModel(
        name=manifest["name"],
        addresses=_addresses(listed),
        files={MANIFEST: folder / MANIFEST, **{file.name: file for file in listed}},
        encodings=OF_TENSORS if manifest.get("kind") == "tensors" else None,
        architecture=_architecture(manifest),
    )


def _listed(files: Iterable[Path], manifest: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files that the manifest lists, as they were when it was written; no service loads any other."""
    entries = manifest.get("files")
    known = entries if isinstance(entries, dict) else {}
    listed = [file for file in files if file.name in known]
    if not listed:
        names = ", ".join(file.name for file in files)
        raise UsageError(f"{folder / MANIFEST} does not list {names}, so no service loads it: {REMEDY}")
    for file in listed:
        entry = known[file.name]
        if not isinstance(entry, dict) or entry.get("sha256") != sha256(file):
            raise UsageError(f"{file} is not the file that {MANIFEST} lists, its sha256 differs: {REMEDY}")
    return listed


def _architecture(manifest: Mapping[str, Any]) -> str | None:
    """What makes the weights' network, `package.module:factory`; None if the services bring it along."""
    named = manifest.get("architecture")
    if not isinstance(named, str) or ":" not in named or named.startswith("modelkit."):
        return None
    return named


def _addresses(files: Iterable[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files:
        if SPECIAL & set(file.name):
            raise UsageError(
                f"{file.name!r} has characters that compose.yaml would read otherwise: rename it"
            )
        if file.suffix in found:
            raise UsageError(f"{file.parent} has two files that end in {file.suffix}: name one of them")
        found[file.suffix] = f"{MOUNTED}/{file.name}"
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} has no {MANIFEST}: {REMEDY}") from None
    except (OSError, ValueError, RecursionError):
        raise UsageError(f"{folder / MANIFEST} cannot be read as JSON: {REMEDY}") from None
    if not isinstance(manifest, dict):
        raise UsageError(f"{folder / MANIFEST} holds no object: {REMEDY}")
    return manifest
