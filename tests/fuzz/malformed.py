"""Hypothesis strategies for what is no HTTP, or nearly is: pieces to write to a connection one by one."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.bytes_of import damaged
from tests.fuzz.seeds import TINY, images

TINY_IMAGE = images()[TINY]
LENGTH = str(len(TINY_IMAGE)).encode()
WHOLE = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: "
SOUND = WHOLE + LENGTH + b"\r\n\r\n" + TINY_IMAGE
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = (
    b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
)

LINE = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET / HTTP/0.9",
        b"GET /",
        b"GET  /  HTTP/1.1",
        b"get / http/1.1",
        b"GET / HTTP/9.9",
        b"PRI * HTTP/2.0",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT x:1 HTTP/1.1",
        b"GET http://[ HTTP/1.1",
        b"GET http://x/ping HTTP/1.1",
        b"POST /predict/ HTTP/1.1",
        b"GET /%zz%00%ff HTTP/1.1",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
        b"GET /../../etc/passwd HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
        b"\x00" * 16,
    ]
)
HEADER = st.sampled_from(
    [
        b"Host: x",
        b"Host:",
        b": x",
        b"Content-Length: -1",
        b"Content-Length: 1, 2",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length: 0x10",
        b"Content-Length: " + b"0" * 5000 + b"3",
        b"X-Request-Timeout-Ms: " + b"9" * 5000,
        b"Content-Length: " + LENGTH,
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Connection: upgrade, close\r\nUpgrade: websocket",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
        b"Expect: 100-continue",
        b"Expect: everything",
        b" folded: onto the line before",
        b"X-\xff\xfe: \x80\x81",
        b"X: " + b"y" * 70_000,
        b"X-Request-Id: \r\n y",
        b"no colon",
        b"X\x00: 1",
        b"\r\n".join(b"X-%d: y" % number for number in range(2000)),
    ]
)
END = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
SIZE = st.sampled_from(
    [
        *(b"0", b"1", b"5;x=y", b"ffffffffffffffff", b"-1", b"zz", b"", b"0" * 20_000, b"3\n"),
        *(b"1;" + b"e" * 70_000, b'1;a="' + b"q" * 100, b"0;last"),
    ]
)
TRAILERS = st.sampled_from(
    [
        *(b"\r\n", b"X: y\r\n\r\n", b"a:b\r\n" * 30_000, b"a: " + b"v" * 70_000, b"Host\r\n\r\n", b""),
        b"Content-Length: 9\r\nX-Request-Timeout-Ms: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
)


@st.composite
def assembled(draw: st.DrawFn) -> bytes:
    """A request put together from a line and headers that may be wrong."""
    end = draw(END)
    lines = [draw(LINE), *draw(st.lists(HEADER, max_size=4))]
    return end.join(lines) + end + end + draw(st.sampled_from([b"", TINY_IMAGE, b"\r\n\r\n", PING]))


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """A body in chunks whose sizes may be wrong."""
    body = CHUNKED
    for _ in range(draw(st.integers(0, 4))):
        piece = draw(st.binary(max_size=8))
        size = draw(SIZE) if draw(st.booleans()) else b"%x" % len(piece)
        body += size + b"\r\n" + piece + draw(END)
    return body + draw(TRAILERS.map(lambda sent: b"0\r\n" + sent) | st.just(b""))


@dataclass(frozen=True, slots=True)
class Written:
    """What is written to one connection: sound requests, `answers` of which to wait for, and then pieces."""

    sound: bytes
    answers: int
    pieces: list[bytes]


@st.composite
def written(draw: st.DrawFn) -> Written:
    """Sound requests, and after their answers anything; or all at once, where a refusal may be of all."""
    before = draw(st.lists(st.sampled_from([SOUND, PING]), max_size=2))
    damage = damaged(st.sampled_from([SOUND, PING, CHUNKED]))
    sent = draw(st.one_of(assembled(), chunks(), damage, st.binary(max_size=64)))
    waits = draw(st.booleans())
    if not waits:
        sent = b"".join(before) + sent
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=2)))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    return Written(b"".join(before), len(before), pieces) if waits else Written(b"", 0, pieces)
