"""Requests made of files: pictures, lines of JSON and arrays; what is none of these is one line."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.errors import UsageError
from bench.request_sets.draft import read_draft
from bench.request_sets.from_files import FromFiles, made_of
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import RequestSet, SetRequest, WholeBody, classes_of


def picture(form: str, mode: str = "RGB") -> bytes:
    written = io.BytesIO()
    Image.new(mode, (20, 10), 1).save(written, form)
    return written.getvalue()


def made(source: Path, **how: str) -> RequestSet:
    return read_draft(made_of(FromFiles(source, **how)).draft)


def only_input(request: SetRequest) -> tuple[str, bytes, str]:
    assert isinstance(request.body, tuple)
    (tensor,) = request.body
    return tensor.name, bytes(tensor.data[0]), tensor.content_type


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "large" / "2024").mkdir(parents=True)
    (folder / "b.PNG").write_bytes(picture("PNG", "P"))
    (folder / "a.jpg").write_bytes(picture("JPEG", "L"))
    (folder / "large" / "2024" / "c.webp").write_bytes(picture("WEBP"))
    (folder / ".hidden.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("from the sea")
    return folder


def test_each_picture_is_a_request_and_a_folder_is_a_class(photos: Path) -> None:
    found = made(photos)
    assert [(one.name, one.request_class) for one in found.requests] == [
        ("a.jpg", "default"),
        ("b.PNG", "default"),
        ("large/2024/c.webp", "large"),
    ]
    assert [only_input(one) for one in found.requests] == [
        ("image", (photos / "a.jpg").read_bytes(), "image/jpeg"),
        ("image", (photos / "b.PNG").read_bytes(), "image/png"),
        ("image", (photos / "large/2024/c.webp").read_bytes(), "image/webp"),
    ]
    assert made_of(FromFiles(photos)).left_out == "left out, since they are not pictures: notes.txt"


def test_the_input_and_the_class_may_be_named(photos: Path) -> None:
    found = made(photos, input_name="photo", request_class="mine")
    assert {only_input(one)[0] for one in found.requests} == {"photo"}
    assert [one.request_class for one in found.requests] == ["mine", "mine", "large"]


def test_a_line_of_json_is_sent_as_it_is(tmp_path: Path) -> None:
    bodies = [{"text": "Grüße", "n": 1.0}, [1, 2], "words", None, {"deep": {"list": [True, 1e-7]}}]
    (tmp_path / "inputs.jsonl").write_text("\n\n".join(map(json.dumps, bodies)) + "\n")
    found = made(tmp_path / "inputs.jsonl", request_class="mine")
    assert [one.name for one in found.requests] == ["line-1", "line-3", "line-5", "line-7", "line-9"]
    assert {one.request_class for one in found.requests} == {"mine"}
    for one, body in zip(found.requests, bodies, strict=True):
        assert isinstance(one.body, WholeBody)
        assert one.body.content_type == "application/json"
        assert json.loads(one.body.content) == body


def test_lines_of_an_editor_that_marks_and_ends_them_in_its_own_way_are_read(tmp_path: Path) -> None:
    (tmp_path / "inputs.jsonl").write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n\r\n{"n": 2}\r\n')
    bodies = [one.body for one in made(tmp_path / "inputs.jsonl").requests]
    assert [one.content for one in bodies if isinstance(one, WholeBody)] == [b'{"n":1}', b'{"n":2}']


ARRAYS: dict[str, Any] = {
    "floats": np.random.default_rng(1).standard_normal((3, 4)).astype(">f4"),
    "wide": np.random.default_rng(2).standard_normal((3, 20, 30)),
    "counts": np.arange(6, dtype=np.uint8).reshape(3, 2),
    "flags": np.array([True, False, True]),
    "missing": np.array([[1.0, np.nan]] * 3, np.float16),
}


def test_the_first_axis_of_arrays_is_the_request(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", **ARRAYS)
    found = made(tmp_path / "inputs.npz")
    assert [one.name for one in found.requests] == ["row-0", "row-1", "row-2"]
    for number, one in enumerate(found.requests):
        assert isinstance(one.body, tuple)
        assert {tensor.name: tensor.datatype for tensor in one.body} == {
            "floats": "FP32",
            "wide": "FP64",
            "counts": "UINT8",
            "flags": "BOOL",
            "missing": "FP16",
        }
        for tensor in one.body:
            np.testing.assert_array_equal(tensor.data, ARRAYS[tensor.name][number : number + 1])


def test_arrays_of_text_are_bytes(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "inputs.npz", text=np.array(["Grüße", "words"]), raw=np.array([b"a", b"bc"])
    )
    one, other = made(tmp_path / "inputs.npz").requests
    assert [[*map(bytes, tensor.data)] for request in (one, other) for tensor in request.body] == [  # type: ignore[union-attr]  # tensors
        ["Grüße".encode()],
        [b"a"],
        [b"words"],
        [b"bc"],
    ]


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path.with_suffix(".npz"), **arrays)


def text(words: str) -> Callable[[Path], None]:
    return lambda path: [path.write_text(words)][0] and None


def folder(**files: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for name, content in files.items():
            (path / name.replace("_", ".")).write_bytes(content)

    return make


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("x.npy", "w") as part:
        for _ in range(65):
            part.write(bytes(1 << 24))


def junk(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(name, b"junk")

    return make


def named_as_the_manifest(path: Path) -> None:
    (path / "manifest.json").mkdir(parents=True)
    (path / "manifest.json" / "a.jpg").write_bytes(picture("JPEG"))


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("none", lambda _: None, "there is no none: name a folder of pictures, a .jsonl or a .npz file"),
        ("none.npz", lambda _: None, r"there is no none\.npz: name files that are there"),
        ("none.jsonl", lambda _: None, r"there is no none\.jsonl: name files that are there"),
        (
            "x.csv",
            text("1,2"),
            r"x\.csv is neither a folder of pictures, lines of JSON \(\.jsonl\) nor arrays",
        ),
        ("photos", folder(), "photos/ has no picture: put JPEG, PNG or WebP files there"),
        ("photos", folder(notes_txt=b"x"), "photos/ has no picture"),
        (
            "photos",
            folder(a_jpg=b"x"),
            r"a\.jpg is no JPEG, PNG or WebP: repair it, or take it away",
        ),
        ("photos", folder(a_jpg=picture("JPEG")[:-40]), r"a\.jpg is not a whole JPEG, PNG or WebP"),
        ("photos", folder(a_png=picture("BMP")), r"a\.png is no JPEG, PNG or WebP: "),
        ("photos", named_as_the_manifest, r"the folder manifest\.json has the name of the set's manifest: "),
        ("x.jsonl", text(""), r"x\.jsonl has no line: write one request's body, in JSON, on each line"),
        (
            "x.jsonl",
            text('{"a": 1}\n{"a": \n'),
            r"line 2 of x\.jsonl is not JSON \(.*\): write one request's body",
        ),
        ("x.jsonl", text('\n{"a": NaN}'), r"line 2 of x\.jsonl is not JSON"),
        *(
            (
                "x.jsonl",
                text(f"1\n{line}"),
                r"line 2 of x\.jsonl is not JSON \(.* out of range",
            )
            for line in (f"{2**70}", f"[{2**70}]", f'{{"a": [{2**70}]}}', "1" * 5000)
        ),
        (
            "x.npz",
            npz(a=np.zeros(3), b=np.zeros(4)),
            r"arrays of x\.npz are of different lengths, a 3, b 4: the first",
        ),
        (
            "x.npz",
            npz(a=np.array([{}, []], object)),
            "a holds Python objects, which are never unpickled: save it as",
        ),
        ("x.npz", npz(a=np.zeros(2, complex)), "a is complex128, which no input can be: save it as numbers"),
        ("x.npz", npz(a=np.float32(1)), "a is a single value: write arrays whose first axis is the request"),
        ("x.npz", npz(a=np.zeros((0, 2))), r"x\.npz holds no request: write arrays"),
        ("x.npz", npz(), r"x\.npz holds no request: write arrays"),
        (
            "x.npz",
            npz(a=np.array([b"\xff\xfe"])),
            "a holds bytes that are not text in UTF-8: send bytes as files",
        ),
        (
            "x.npz",
            text("not a zip file"),
            r"x\.npz holds no arrays that can be read .*: write it with numpy\.savez",
        ),
        ("x.npz", junk("readme.txt"), r"x\.npz: readme\.txt is not an array: write it with numpy\.savez"),
        ("x.npz", junk("x.npy"), r"x\.npz: x is not an array: write it with numpy\.savez"),
        ("x.npz", bomb, r"the arrays of x\.npz take 1090519040 bytes: divide them"),
        ("x.npz", folder(), "x.npz/ has no picture"),
    ],
)
def test_what_makes_no_set_is_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], None], says: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(UsageError, match=says) as told:
        made(tmp_path / name)
    assert str(told.value).isprintable()
    assert ": " in str(told.value)


def test_a_picture_of_a_folder_that_names_no_class_is_one_line(photos: Path) -> None:
    (photos / "large").rename(photos / "the large")
    with pytest.raises(UsageError, match="the folder 'the large' cannot name a class: use 1 to 64"):
        made(photos)


def test_the_verb_writes_the_set_and_says_what_it_has(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert main(["requests", "from-files", str(photos), "--out", str(out), "--class", "small"]) == 0
    told = capsys.readouterr()
    assert told.out == (
        f"{out}: 3 requests (2 small, 1 large); what must come back is not recorded yet: "
        "`python -m bench requests record` does that\n"
    )
    assert told.err == "bench: left out, since they are not pictures: notes.txt\n"
    assert classes_of(read_request_set(out).requests) == ("small", "large")
    assert main(["requests", "from-files", str(photos), "--out", str(out)]) == 2
    assert "holds a request set already" in capsys.readouterr().err
    assert main(["requests", "from-files", str(photos), "--out", str(out), "--force"]) == 0
    assert classes_of(read_request_set(out).requests) == ("default", "large")


def test_an_input_s_name_that_no_request_can_have_is_refused_before_anything_is_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert main(["requests", "from-files", str(photos), "--out", str(out), "--input", "größe"]) == 2
    assert "the input's name 'größe' is not a plain word" in capsys.readouterr().err
    assert not out.exists()
