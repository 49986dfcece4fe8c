"""Forms of files (multipart/form-data), taken apart by python-multipart."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving_core.errors import RequestError

LONGEST_BOUNDARY = 70  # RFC 2046


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary between a form's parts; raises RequestError 400."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= LONGEST_BOUNDARY:
        raise RequestError(
            400, f"the form's boundary is missing or wrong: name one of 1 to {LONGEST_BOUNDARY} characters"
        )
    return boundary


def files_of(boundary: bytes, body: bytes, max_files: int) -> list[bytes]:
    """Return the contents of a form's files in order; raises RequestError 400."""
    files = _Files(max_files)
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
        raise RequestError(400, f"the body is no multipart form ({error}): send a form of files") from None
    if not files.finished:
        raise RequestError(400, "the form is truncated: send it whole, its last boundary included")
    if not files.contents:
        raise RequestError(400, "the form has no file: send at least one")
    return files.contents


class _Files:
    """What the parser reports, put together."""

    def __init__(self, max_files: int) -> None:
        self.contents: list[bytes] = []
        self.finished = False
        self._max_files = max_files
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
        """Refuse a part that is no file: it names none and has no type."""
        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        if b"filename" not in options and b"content-type" not in self._headers:
            name = options.get(b"name", b"").decode("latin-1")
            raise RequestError(400, f"the form's field {name[:80]!r} is no file: send files only")

    def on_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def end(self) -> None:
        self.contents.append(b"".join(self._pieces))

    def finish(self) -> None:
        self.finished = True
