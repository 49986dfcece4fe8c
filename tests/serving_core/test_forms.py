"""Forms: which of their parts are files, and what becomes of the parts that are not."""

from typing import Any

import pytest

from serving_core.calls import Signature
from serving_core.codecs.encodings import choose
from serving_core.errors import RequestError
from tests.serving_core.test_encodings import FORM, IMAGE, PICTURE, TEXT

FILE = 'form-data; name="file"; filename="a.png"'
META = 'form-data; name="meta"'
BLOB = 'form-data; name="meta"; filename="blob"'


def part(disposition: str | None, kind: str | None = None, content: bytes = PICTURE, *more: str) -> bytes:
    lines = [] if disposition is None else [f"Content-Disposition: {disposition}"]
    lines += [] if kind is None else [f"Content-Type: {kind}"]
    return (
        b"--b\r\n" + "".join(f"{line}\r\n" for line in (*lines, *more)).encode() + b"\r\n" + content + b"\r\n"
    )


def items(*parts: bytes, signature: Signature = IMAGE) -> list[Any]:
    return [*choose({b"content-type": FORM.encode()}, b"", signature)(b"".join(parts) + b"--b--\r\n").items]


def refused(*parts: bytes, signature: Signature = IMAGE) -> str:
    with pytest.raises(RequestError) as caught:
        items(*parts, signature=signature)
    assert caught.value.status == 400
    return caught.value.message


FIELDS = {
    "untyped": part(META, None, b"{}"),
    "JSON": part(META, "application/json", b"{}"),
    "JSON with a charset": part(META, "Application/JSON; charset=utf-8", b"{}"),
    "JSON of another kind": part(META, "application/ld+json", b"{}"),
    "JSON from a script's blob": part(BLOB, "application/json", b"{}"),
    "text": part(META, "text/plain", b"x"),
    "text with a charset": part(META, "text/plain; charset=us-ascii", b"x"),
    "text from a script's blob": part(BLOB, "text/plain;charset=UTF-8", b"x"),
    "XML": part(META, "application/xml", b"<x/>"),
    "a form in the form": part(META, "multipart/mixed; boundary=c", b"--c--"),
    "fields of a query": part(BLOB, "application/x-www-form-urlencoded", b"a=b"),
    "another type without a file's name": part(META, "application/pdf", b"%PDF"),
    "empty": part(META, "application/json", b""),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_field_beside_files_is_refused(kind: str) -> None:
    expected = "the form's field 'meta' is not a file: send files only"
    assert refused(part(FILE, "image/png"), FIELDS[kind]) == expected
    assert refused(FIELDS[kind], part(FILE), part(FILE)) == expected
    assert refused(FIELDS[kind]) == expected


FILES = {
    "untyped": part(FILE),
    "of a served type": part(FILE, "image/webp"),
    "of a served type without a name": part(META, "image/png"),
    "of an unknown type of image": part(META, "image/jpg"),
    "of bytes": part(META, "application/octet-stream"),
    "of another type": part(FILE, "application/x-something"),
    "with a charset": part(FILE, "image/png; charset=binary"),
    "that has a name in another script": part('form-data; name="f"; filename="\u00fc\u4e2d.png"'),
    "that has an empty name": part('form-data; name="f"; filename=""'),
    "without a field's name": part('form-data; filename="f"'),
    "without a disposition": part(None, "image/png"),
    "as it is": part(FILE, None, PICTURE, "Content-Transfer-Encoding: Binary"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_an_item(kind: str) -> None:
    assert items(FILES[kind]) == [{"image": PICTURE}]
    assert items(part(FILE), FILES[kind]) == [{"image": PICTURE}] * 2


def test_a_file_that_is_no_image_is_judged_in_its_own_place() -> None:
    assert items(part(FILE), part(FILE, "application/pdf", b"%PDF"))[1] == {"image": b"%PDF"}


def test_a_part_without_any_name_is_not_a_file() -> None:
    assert refused(part(None, None)) == "the form's field '' is not a file: send files only"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "BASE64 "])
def test_encoded_bytes_are_refused(encoding: str) -> None:
    sent = part(FILE, "image/png", b"AAEC", f"Content-Transfer-Encoding: {encoding}")
    assert "send its bytes as they are" in refused(sent)


def test_a_model_of_text_takes_text_and_no_json() -> None:
    assert items(part(META, "text/plain", b"x"), signature=TEXT) == [{"line": b"x"}]
    assert items(part(META, "text/markdown", b"x"), signature=TEXT) == [{"line": b"x"}]
    assert "'meta' is not a file" in refused(part(BLOB, "application/json", b"{}"), signature=TEXT)
    assert "'meta' is not a file" in refused(part(META, "image/png", b"x"), signature=TEXT)
