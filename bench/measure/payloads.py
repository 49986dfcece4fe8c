"""The image set as request bodies: the encodings (one literal table, ENCODINGS), and the right answers."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgpack
import orjson

from bench.errors import UsageError
from bench.model import Payload, Strategy

OCTETS = "application/octet-stream"
HEADER_LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/{model}/infer"
# the outputs of /predict/ too: a protocol's request must not cost more because it asks for more
OUTPUTS = [{"name": "label"}, {"name": "probabilities"}]
# the same for all images: a loop gets one content type for all bodies
BOUNDARY = "bench-6b1f0e52c4a94d7f8e3a"
# every service must take these; any other image goes as application/octet-stream
CONTENT_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
COPY_MARK = b"bench copy "
MOST_COPY_BYTES = 64 * 1024 * 1024
REMEDY = "make the image set with `python -m modelkit images`, or name another with --images"


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request's body, its content type and its other headers."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an image becomes a request, to which path it goes, and in which form the answer comes back.

    `request` is given the image's bytes and its media type. `path` is None for the strategy's own, and may
    have a place for {model}; `reply` is one of bench.load.answers.READERS.
    """

    request: Callable[[bytes, str], SampleRequest]
    path: str | None = None
    reply: str = "json"

    @property
    def names_model(self) -> bool:
        """Whether the path has the model's name in it."""
        return self.path is not None and "{model}" in self.path


def _json(image: bytes, _media_type: str) -> SampleRequest:
    return SampleRequest(orjson.dumps({"image": _base64(image)}), "application/json")


def _raw(image: bytes, media_type: str) -> SampleRequest:
    return SampleRequest(image, media_type)


def _multipart(image: bytes, media_type: str) -> SampleRequest:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    return SampleRequest(body, f"multipart/form-data; boundary={BOUNDARY}")


def _msgpack(image: bytes, _media_type: str) -> SampleRequest:
    return SampleRequest(msgpack.packb({"image": image}), "application/msgpack")


def _oip_json(image: bytes, _media_type: str) -> SampleRequest:
    tensor = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [_base64(image)],
    }
    return SampleRequest(orjson.dumps({"inputs": [tensor], "outputs": OUTPUTS}), "application/json")


def _oip_binary(image: bytes, _media_type: str) -> SampleRequest:
    data = len(image).to_bytes(4, "little") + image
    tensor = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(data)},
    }
    # asked for once, it holds for every output
    asked = {"inputs": [tensor], "outputs": OUTPUTS, "parameters": {"binary_data_output": True}}
    header = orjson.dumps(asked)
    return SampleRequest(header + data, OCTETS, {HEADER_LENGTH: str(len(header))})


def _oip_raw(image: bytes, _media_type: str) -> SampleRequest:
    return SampleRequest(image, OCTETS, {HEADER_LENGTH: "0"})


def _base64(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")


ENCODINGS: dict[str, Encoding] = {
    "json": Encoding(_json),
    "raw": Encoding(_raw),
    "multipart": Encoding(_multipart),
    "msgpack": Encoding(_msgpack, reply="msgpack"),
    "oip-json": Encoding(_oip_json, INFER, "oip-json"),
    "oip-binary": Encoding(_oip_binary, INFER, "oip-binary"),
    # a raw request has no place to choose outputs: all of them come back, in binary
    "oip-raw": Encoding(_oip_raw, INFER, "oip-binary"),
}


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once; raises UsageError for a name that is not an encoding, or without a name."""
    found = tuple(dict.fromkeys(names))
    strange = [name for name in found if name not in ENCODINGS]
    if strange or not found:
        wrong = f"unknown encoding {', '.join(name or 'without a name' for name in strange)}"
        raise UsageError(f"{wrong if strange else 'no encoding is named'}: there are {', '.join(ENCODINGS)}")
    return found


def split_names(text: str) -> tuple[str, ...]:
    """The encodings that a comma-separated text names, each once; raises UsageError as `known` does."""
    return known(name.strip() for name in text.split(","))


@dataclass(frozen=True, slots=True)
class PayloadImage:
    """One image of the set, its kind, and the answer expected for it."""

    file: str
    kind: str
    content: bytes
    label: str
    probabilities: Mapping[str, float]


def read_images(folder: Path) -> tuple[PayloadImage, ...]:
    """Read folder/manifest.json and its images; raises UsageError if there is nothing to send."""
    try:
        raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        entries: list[dict[str, Any]] = raw["images"]
        labels = [str(label) for label in raw["labels"]]
        images = tuple(_image(folder, entry, labels) for entry in entries)
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise UsageError(f"{folder.name}/ has no {missing}: {REMEDY}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder.name}/manifest.json is not usable ({error!r}): {REMEDY}") from None
    if not images:
        raise UsageError(f"{folder.name}/manifest.json lists no image: {REMEDY}")
    return images


def make_payload(image: PayloadImage, encoding: str, model: str | None = None) -> Payload:
    """One image as a request; raises UsageError if the encoding is unknown or needs a model's name."""
    known((encoding,))
    chosen = ENCODINGS[encoding]
    path = chosen.path
    if path is not None and chosen.names_model:
        if model is None:
            raise UsageError(f"{encoding} names the model in its path: label the strategy with bench.model")
        path = path.format(model=quote(model, safe=""))
    media_type = CONTENT_TYPES.get(image.file.rpartition(".")[2].lower(), OCTETS)
    request = chosen.request(image.content, media_type)
    return Payload(
        file=image.file,
        payload_class=image.kind,
        encoding=encoding,
        content_type=request.content_type,
        body=request.body,
        label=image.label,
        probabilities=image.probabilities,
        path=path,
        headers=request.headers,
        reply=chosen.reply,
    )


def by_class(
    images: Iterable[PayloadImage], classes: Iterable[str], encoding: str, model: str | None = None
) -> dict[str, tuple[Payload, ...]]:
    """The payloads of each class; raises UsageError for a class without an image in the set."""
    sets = payload_sets(images, classes, (encoding,), model)
    return {payload_class: payloads for (payload_class, _), payloads in sets.items()}


def payload_sets(
    images: Iterable[PayloadImage],
    classes: Iterable[str],
    encodings: Iterable[str],
    model: str | None = None,
) -> dict[tuple[str, str], tuple[Payload, ...]]:
    """The payloads of each class in each encoding, classes first.

    `model` is its name in the paths that have one: see `common_model`. Raises UsageError for a class of
    which the set has no image, and for an encoding that is unknown.
    """
    images, encodings = tuple(images), known(encodings)
    chosen = {}
    for name in classes:
        of_class = [image for image in images if image.kind == name]
        if not of_class:
            kinds = ", ".join(dict.fromkeys(image.kind for image in images))
            raise UsageError(f"no image of class {name}: the set has {kinds}")
        for encoding in encodings:
            chosen[name, encoding] = tuple(make_payload(image, encoding, model) for image in of_class)
    return chosen


def common_model(strategies: Iterable[Strategy], encodings: Iterable[str]) -> str | None:
    """The model's name in the paths of these encodings; None if their paths do not name it.

    Payloads are made once for all strategies: raises UsageError if the strategies' models differ.
    """
    naming = [encoding for encoding in known(encodings) if ENCODINGS[encoding].names_model]
    if not naming:
        return None
    models = {strategy.model: strategy.name for strategy in strategies}
    if len(models) > 1:
        several = ", ".join(f"{model} ({name})" for model, name in models.items())
        raise UsageError(
            f"{', '.join(naming)}: the path names the model, and the strategies have several, {several}: "
            "choose strategies of one model (label bench.model), or another --encoding"
        )
    return next(iter(models), None)


def varied_copies(
    images: Sequence[PayloadImage],
    encoding: str,
    count: int,
    model: str | None = None,
    most_bytes: int = MOST_COPY_BYTES,
) -> tuple[Payload, ...]:
    """Copies of the images in turn, no two with the same body, each with the answer of its image.

    What is added stands after the image's end, where no decoder reads: the pixels are the same. There are
    `count` copies, or fewer if their bodies would exceed `most_bytes` together.
    """
    copies: list[Payload] = []
    left_bytes = most_bytes
    for number in range(count if images else 0):
        image = images[number % len(images)]
        # of the same length for all, so that no two images with it can be alike
        content = image.content + COPY_MARK + b"%012d" % number
        copy = make_payload(replace(image, content=content), encoding, model)
        left_bytes -= len(copy.body)
        if left_bytes < 0:
            break
        copies.append(copy)
    return tuple(copies)


def _image(folder: Path, entry: Mapping[str, Any], labels: Sequence[str]) -> PayloadImage:
    expected = entry["expected"]
    return PayloadImage(
        file=str(entry["file"]),
        kind=str(entry["kind"]),
        content=(folder / str(entry["file"])).read_bytes(),
        label=str(expected["label"]),
        probabilities=dict(zip(labels, map(float, expected["probabilities"]), strict=True)),
    )
