"""Coverage-guided fuzzing of all that reads a request, in this process: any error but a refusal is a crash.

python -m tests.fuzz.coverage_guided FOLDER -runs=N -seed=S writes seeds into FOLDER and begins there; all
options are libFuzzer's. An input is two lines, the content type behind a letter for what reads it, and the
query or the length of the JSON; then the body.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["serving_core", "python_multipart", "PIL"]):
    from serving_core import images
    from serving_core.calls import Call, Headers, Outcome, Signature
    from serving_core.codecs import encodings, oip
    from serving_core.errors import RequestError
    from serving_core.tensors import TensorSpec

import numpy as np

from tests.fuzz import seeds

MAX_PIXELS = 1_000_000
CLASSES = 3
SIGNATURE = Signature(
    "weather",
    "1",
    "fuzz",
    (TensorSpec("image", "BYTES"),),
    (TensorSpec("logits", "FP32", (CLASSES,)), TensorSpec("label", "BYTES", text=True)),
    lambda outputs, top_k: {"label": outputs["label"], "top_k": top_k},
    8,
)
NUMBERS = Signature(
    "numbers",
    None,
    "fuzz",
    (TensorSpec("one", "FP32", (2, -1)), TensorSpec("two", "INT8"), TensorSpec("text", "BYTES", text=True)),
    (TensorSpec("sum", "FP64"),),
    lambda outputs, _: outputs,
    4,
)


def check(data: bytes) -> None:
    """Read one input as a request would be read."""
    kind, _, rest = data.partition(b"\n")
    extra, _, body = rest.partition(b"\n")
    try:
        match kind[:1]:
            case b"i":
                images.decode(rest, MAX_PIXELS)
            case b"e":
                answer(encodings.choose(_headers(kind[1:]), extra, SIGNATURE)(body))
            case b"n":
                answer(encodings.choose(_headers(kind[1:]), extra, NUMBERS)(body))
            case b"o":
                answer(oip.choose(_headers(kind[1:], extra), SIGNATURE)(body))
            case b"p":
                answer(oip.choose(_headers(kind[1:], extra), NUMBERS)(body))
    except RequestError as refusal:
        if refusal.status >= 500:
            raise


def _headers(content_type: bytes, length: bytes = b"") -> Headers:
    headers = {b"content-type": content_type} if content_type else {}
    return {**headers, b"inference-header-content-length": length} if length else headers


def answer(call: Call) -> None:
    """Decode what the call asks about and write an answer to it."""
    call.encode([_outcome(item) for item in call.items])


def _outcome(item: object) -> Outcome:
    if isinstance(item, RequestError):
        return item
    assert isinstance(item, dict)
    if "image" not in item:
        return {"sum": np.float64(1)}
    try:
        images.decode(item["image"], MAX_PIXELS)
    except RequestError as refusal:
        return refusal
    return {"logits": np.zeros(CLASSES, np.float32), "label": "rain"}


def write_seeds(folder: Path) -> None:
    """Write real images and a request of each encoding."""
    for name, data in seeds.images().items():
        (folder / name).write_bytes(b"i\n" + data)
    for name, request in seeds.requests().items():
        sent = {key.lower(): value for key, value in request.headers.items()}
        kind = b"o" if request.path.startswith("/v2") else b"e"
        length = sent.get("inference-header-content-length", "")
        lines = kind + sent.get("content-type", "").encode() + b"\n" + length.encode() + b"\n"
        (folder / name.replace(" ", "_")).write_bytes(lines + request.body)
    tensors = b'{"inputs":[{"name":"one","shape":[1,2,1],"datatype":"FP32","data":[1,2]},'
    tensors += b'{"name":"two","shape":[1],"datatype":"INT8","data":[1]},'
    tensors += b'{"name":"text","shape":[1],"datatype":"BYTES","data":["a"]}]}'
    (folder / "numbers_oip").write_bytes(b"p\n\n" + tensors)
    item = b'{"one":[[1],[2]],"two":1,"text":"a"}'
    (folder / "numbers_json").write_bytes(b"napplication/json\n\n" + item)
    (folder / "numbers_list").write_bytes(b'napplication/json\ntop_k=2\n{"items":[' + item + b"]}")


def main() -> None:
    """Fuzz as the command line says; libFuzzer ends the process."""
    folder = Path(sys.argv[1])
    write_seeds(folder)
    atheris.Setup([*sys.argv, f"-artifact_prefix={folder.parent}/"], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
