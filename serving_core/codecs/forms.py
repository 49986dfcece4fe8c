"""Forms (multipart/form-data): the files that they bring, each of which is an item."""

import re
from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving_core.errors import RequestError

LONGEST_BOUNDARY = 70  # RFC 2046
# The types of fields. A browser names a file for such a field too, if a script made the field of a blob.
_FIELD_TYPE = re.compile(r"text/.*|multipart/.*|application/(json|xml|x-www-form-urlencoded|.*\+(json|xml))")
# The transfer encodings that leave bytes as they are.
_AS_THEY_ARE = frozenset({b"", b"binary", b"8bit", b"7bit"})


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary between a form's parts; raises RequestError 400."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= LONGEST_BOUNDARY:
        raise RequestError(
            400, f"the form's boundary is missing or wrong: give it 1 to {LONGEST_BOUNDARY} characters"
        )
    return boundary


def files_of(boundary: bytes, body: bytes, max_files: int, types: Collection[str]) -> list[bytes]:
    """Return the contents of a form's files in order; raises RequestError 400.

    `types` are the content types of the model's input.
    """
    files = _Files(max_files, types)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": files.begin,
            "on_header_field": files.on_field,
            "on_header_value": files.on_value,
            "on_header_end": files.end_header,
            "on_headers_finished": files.check,
            "on_part_data": files.on_data,
            "on_part_end": files.end,
            "on_end": files.finish,
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise RequestError(400, f"the body is not a multipart form ({error}): send a form of files") from None
    if not files.finished:
        raise RequestError(400, "the form is truncated: send it whole, its last boundary included")
    if not files.contents:
        raise RequestError(400, "the form has no file: send at least one")
    return files.contents


class _Files:
    """Collects the files of a form from the parser's reports."""

    def __init__(self, max_files: int, types: Collection[str]) -> None:
        self.contents: list[bytes] = []
        self.finished = False
        self._max_files = max_files
        self._types = types
        self._families = {kind.partition("/")[0] for kind in types} - {"application"}
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._pieces: list[bytes] = []

    def begin(self) -> None:
        if len(self.contents) == self._max_files:
            raise RequestError(400, f"the form has too many files: send at most {self._max_files}")
        self._headers = {}
        self._pieces = []

    def on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def check(self) -> None:
        """Refuse a part that is not a file, or a file whose bytes are encoded; raises RequestError 400."""
        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        name = options.get(b"name", b"").decode("latin-1")[:80]
        if not self._is_file(b"filename" in options):
            raise RequestError(400, f"the form's field {name!r} is not a file: send files only")
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding not in _AS_THEY_ARE:
            raise RequestError(
                400, f"the form's file {name!r} has a Content-Transfer-Encoding: send its bytes as they are"
            )

    def _is_file(self, named: bool) -> bool:
        """Tell whether a part is a file: by its type if that is known, else by whether a file is `named`."""
        sent = self._headers.get(b"content-type", b"").decode("latin-1")
        kind = sent.partition(";")[0].strip().lower()
        if kind in self._types or kind.partition("/")[0] in self._families:
            return True
        return named and _FIELD_TYPE.fullmatch(kind) is None

    def on_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def end(self) -> None:
        self.contents.append(b"".join(self._pieces))

    def finish(self) -> None:
        self.finished = True
