"""A model at a web address, and a store that sends more than it should or sends elsewhere."""

import base64
import contextlib
import datetime
import gzip
import hashlib
import ipaddress
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving_core.errors import StoreError
from serving_core.models.store import pull, pull_model

pytestmark = [
    pytest.mark.slow,
    # a transfer that is given up leaves its socket to the garbage collector in Google's library
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

WEIGHTS = bytes(range(256)) * 400
MANIFEST = {"name": "weather", "files": {"weights": {"sha256": hashlib.sha256(WEIGHTS).hexdigest()}}}
PROMPT_S = 20.0
ENDLESS = 400 * 1024 * 1024
# nobody is there: it is kept for documentation
ELSEWHERE = "192.0.2.1"

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Store:
    """A server whose `replies` answer by path; it counts the bytes of bodies that it could send."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    sent_bytes: int = 0


def serve(made: Store, context: ssl.SSLContext | None = None) -> contextlib.AbstractContextManager[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.seen.append((self.command, self.path, self.headers.get("Authorization")))
            reply = made.replies.get(self.path.partition("?")[0])
            with contextlib.suppress(OSError):
                (reply or status(404))(self)
            self.close_connection = True

        def do_HEAD(self) -> None:
            made.seen.append((self.command, self.path, None))
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    @contextlib.contextmanager
    def running() -> Iterator[None]:
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            if context:
                server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https" if context else "http"
            made.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield
            server.shutdown()
            thread.join()

    return running()


@pytest.fixture
def web() -> Iterator[Store]:
    made = Store()
    with serve(made):
        yield made


@pytest.fixture
def other() -> Iterator[Store]:
    made = Store()
    with serve(made):
        yield made


@pytest.fixture
def secure(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A server with a certificate that requests trusts here."""
    folder, made = tmp_path_factory.mktemp("certificate"), Store()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's own")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    builder = builder.add_extension(here, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(secret + builder.sign(key, hashes.SHA256()).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "both.pem"))
    with serve(made, context):
        yield made


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    """Answer with a status, headers (with _ for -) and a body."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        named = {"Content-Length": str(len(body))} | {k.replace("_", "-"): v for k, v in headers.items()}
        for name, value in named.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def redirect(to: str, code: int = 302) -> Reply:
    return status(code, Location=to)


def chunked(store: Store, code: int = 200, size: int = ENDLESS, **headers: str) -> Reply:
    """Answer in chunks without end, or for `size` bytes."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        left = size
        while left:
            piece = WEIGHTS[: min(left, len(WEIGHTS))]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            left -= len(piece)
            store.sent_bytes += len(piece)
        handler.wfile.write(b"0\r\n\r\n")

    return reply


def refused(uri: str, cache: Path, local_store: str | None = None, max_bytes: int = 10**9) -> str:
    with pytest.raises(StoreError) as caught:
        pull(uri, cache, PROMPT_S, local_store, max_bytes)
    text = str(caught.value)
    assert "\n" not in text
    assert not cache.exists() or list(cache.iterdir()) == []
    return text


def test_an_address_that_refuses_head_is_pulled_with_one_get_and_kept(web: Store, tmp_path: Path) -> None:
    web.replies["/weights"] = status(200, WEIGHTS, ETag='"1"')
    uri = f"{web.url}/weights?signature=abc"
    first = pull(uri, tmp_path, PROMPT_S)
    assert first.path.read_bytes() == WEIGHTS
    assert [command for command, *_ in web.seen] == ["GET"]
    again = pull(uri, tmp_path, PROMPT_S)
    assert (again.cached, again.path) == (True, first.path)
    web.replies["/weights"] = status(200, WEIGHTS[::-1], ETag='"2"')
    assert pull(uri, tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS[::-1]


def test_a_signed_address_has_a_manifest_at_an_address_of_its_own(web: Store, tmp_path: Path) -> None:
    web.replies["/folder/weights"] = status(200, WEIGHTS)
    web.replies["/elsewhere/manifest"] = status(200, json.dumps(MANIFEST).encode())
    signed = f"{web.url}/folder/weights?signature=1"
    model = pull_model(signed, tmp_path, PROMPT_S, manifest_uri=f"{web.url}/elsewhere/manifest?signature=2")
    assert model.manifest.name == "weather"
    assert "signature=2" in web.seen[-1][1]


@pytest.mark.parametrize("code", [401, 403])
def test_a_signed_address_whose_manifest_is_refused_says_which_setting_helps(
    web: Store, tmp_path: Path, code: int
) -> None:
    web.replies |= {"/weights": status(200, WEIGHTS), "/model.json": status(code)}
    with pytest.raises(StoreError, match=r"model\.json may not be read \(HTTP status .*MANIFEST_URI"):
        pull_model(f"{web.url}/weights?signature=1", tmp_path, PROMPT_S)


def test_a_file_in_chunks_without_a_length_is_pulled(web: Store, tmp_path: Path) -> None:
    web.replies["/weights"] = chunked(web, size=len(WEIGHTS))
    assert pull(f"{web.url}/weights", tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("code", [202, 204, 206, 300, 304, 400, 405, 416, 451])
def test_an_answer_that_is_not_the_whole_file_is_named(web: Store, tmp_path: Path, code: int) -> None:
    web.replies["/weights"] = status(code, b"" if code in (204, 304) else WEIGHTS)
    said = refused(f"{web.url}/weights", tmp_path)
    assert f"may not be read (HTTP status {code}): give an address that answers a GET" in said


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZIP", "x-unheard-of"])
def test_an_encoded_file_is_refused_by_the_encodings_name(web: Store, tmp_path: Path, encoding: str) -> None:
    web.replies["/weights"] = status(200, gzip.compress(WEIGHTS), Content_Encoding=encoding)
    said = refused(f"{web.url}/weights", tmp_path)
    assert f"(it is sent with Content-Encoding {encoding.lower()}): store it without" in said


def test_a_file_with_the_encoding_of_none_is_taken(web: Store, tmp_path: Path) -> None:
    web.replies["/weights"] = status(200, WEIGHTS, Content_Encoding="Identity")
    assert pull(f"{web.url}/weights", tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "1_0", "+5", "0x10"])
def test_a_length_that_is_no_number_is_no_traceback(web: Store, tmp_path: Path, length: str) -> None:
    web.replies["/weights"] = status(200, WEIGHTS, Content_Length=length)
    assert "(its Content-Length is malformed): give an address" in refused(f"{web.url}/weights", tmp_path)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed_to_where_an_address_may_lead(
    web: Store, other: Store, tmp_path: Path, code: int
) -> None:
    web.replies |= {"/a": redirect("b?x=1", code), "/b": redirect(f"{other.url}/c", code)}
    other.replies["/c"] = status(200, WEIGHTS)
    assert pull(f"{web.url}/a", tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "to",
    [
        f"http://{ELSEWHERE}/weights",
        f"//{ELSEWHERE}/weights",
        "http://169.254.169.254/computeMetadata/v1/",
        "http://metadata.google.internal/",
        "file:///etc/passwd",
        "gs://models/weights",
        "ftp://127.0.0.1/weights",
        f"http://{ELSEWHERE}\\@127.0.0.1/weights",
        f"http://127.0.0.1:80@{ELSEWHERE}/weights",
        "http://[::ffff:192.0.2.1]/weights",
        "http://[",
        "https:///weights",
    ],
)
@pytest.mark.parametrize("hops", [0, 2])
def test_a_redirect_leads_nowhere_that_an_address_may_not(
    web: Store, tmp_path: Path, to: str, hops: int
) -> None:
    web.replies |= {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(hops)}
    web.replies[f"/{hops}"] = redirect(to)
    said = refused(f"{web.url}/0", tmp_path)
    assert re.search(
        r"redirects to .* give the address of the file itself|is malformed|may not be read", said
    )
    assert len(web.seen) == hops + 1


def test_https_never_leads_to_http_not_even_on_this_machine(
    secure: Store, web: Store, tmp_path: Path
) -> None:
    web.replies["/weights"] = status(200, WEIGHTS)
    secure.replies |= {"/weights": redirect(f"{web.url}/weights"), "/whole": status(200, WEIGHTS)}
    assert pull(f"{secure.url}/whole", tmp_path / "1", PROMPT_S).path.read_bytes() == WEIGHTS
    said = refused(f"{secure.url}/weights", tmp_path / "2")
    assert f"redirects to {web.url}/weights, which is not https" in said
    assert web.seen == []


def test_a_loop_of_redirects_ends(web: Store, tmp_path: Path) -> None:
    web.replies |= {"/a": redirect("/b"), "/b": redirect("/a")}
    assert "redirects more than 5 times: give the address" in refused(f"{web.url}/a", tmp_path)
    assert len(web.seen) == 6


def test_a_redirect_whose_body_never_ends_is_followed_at_once(
    web: Store, other: Store, tmp_path: Path
) -> None:
    web.replies["/a"] = chunked(web, 302, Location=f"{other.url}/weights")
    other.replies["/weights"] = status(200, WEIGHTS)
    assert pull(f"{web.url}/a", tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS
    assert web.sent_bytes < ENDLESS // 10


def test_credentials_stay_with_their_host(web: Store, other: Store, tmp_path: Path) -> None:
    web.replies |= {"/a": lambda handler: redirect(f"{web.url}/b")(handler), "/b": redirect("/c")}
    web.replies["/c"] = lambda handler: redirect(f"{other.url}/weights")(handler)
    other.replies["/weights"] = lambda handler: redirect(f"{web.url}/d")(handler)
    web.replies["/d"] = status(200, WEIGHTS)
    host = web.url.removeprefix("http://")
    pull(f"http://name:pass@{host}/a", tmp_path, PROMPT_S)
    given = "Basic " + base64.b64encode(b"name:pass").decode()
    assert [sent for _, _, sent in web.seen] == [given] * 4
    assert [sent for _, _, sent in other.seen] == [None]


def test_an_odd_address_is_judged_by_the_host_that_would_be_called(tmp_path: Path) -> None:
    said = refused(f"http://{ELSEWHERE}\\@127.0.0.1/weights", tmp_path)
    assert "is not a model address" in said


def test_no_more_is_written_than_was_declared(web: Store, tmp_path: Path) -> None:
    web.replies["/weights"] = chunked(web, Content_Length=str(len(WEIGHTS)))
    said = refused(f"{web.url}/weights", tmp_path)
    assert f"arrived damaged (more than its {len(WEIGHTS)} bytes were sent): publish it again" in said
    assert web.sent_bytes < ENDLESS // 10


def test_what_declares_no_length_is_bounded_by_the_setting(web: Store, tmp_path: Path) -> None:
    web.replies["/weights"] = chunked(web)
    said = refused(f"{web.url}/weights", tmp_path, max_bytes=10**6)
    assert f"{web.url}/weights is longer than MAX_MODEL_BYTES=1000000 bytes: " in said
    assert web.sent_bytes < ENDLESS // 10


def test_what_declares_too_much_is_not_downloaded(web: Store, tmp_path: Path) -> None:
    web.replies["/weights"] = status(200, WEIGHTS)
    assert "is longer than MAX_MODEL_BYTES=1000 bytes" in refused(f"{web.url}/weights", tmp_path, None, 1000)


def test_a_manifest_without_end_is_bounded(web: Store, tmp_path: Path) -> None:
    web.replies |= {"/weights": status(200, WEIGHTS), "/model.json": chunked(web)}
    with pytest.raises(StoreError, match=r"model\.json is longer than the longest manifest"):
        pull_model(f"{web.url}/weights", tmp_path, PROMPT_S)
    assert web.sent_bytes < ENDLESS // 4
    (tmp_path / "weights").write_bytes(WEIGHTS)
    with (tmp_path / "model.json").open("wb") as sparse:
        sparse.truncate(ENDLESS)
    with pytest.raises(StoreError, match=r"model\.json is longer than the longest manifest"):
        pull_model((tmp_path / "weights").as_uri(), tmp_path, PROMPT_S)


def described(**facts: object) -> Reply:
    known = {"generation": "1", "size": str(len(WEIGHTS)), "name": "weights", "bucket": "models"}
    return status(200, json.dumps(known | facts).encode(), Content_Type="application/json")


METADATA, MEDIA = "/storage/v1/b/models/o/weights", "/download/storage/v1/b/models/o/weights"
URI = "gs://models/weights"


def test_a_bucket_sends_no_more_than_it_declared(web: Store, tmp_path: Path) -> None:
    web.replies |= {METADATA: described(), MEDIA: chunked(web)}
    said = refused(URI, tmp_path, f"models={web.url}")
    assert said.startswith(f"{URI} arrived damaged (more than its {len(WEIGHTS)} bytes were sent)")
    assert web.sent_bytes < ENDLESS // 10


def test_a_description_or_an_error_of_a_bucket_without_end_is_bounded(web: Store, tmp_path: Path) -> None:
    web.replies[METADATA] = chunked(web, Content_Type="application/json")
    assert "its description is longer than" in refused(URI, tmp_path, f"models={web.url}")
    web.replies |= {METADATA: described(), MEDIA: chunked(web, 403)}
    assert "may not be read" in refused(URI, tmp_path, f"models={web.url}")
    bomb = gzip.compress(b"0" * ENDLESS, compresslevel=1)
    web.replies[METADATA] = status(200, bomb, Content_Encoding="gzip", Content_Type="application/json")
    assert "its description is longer than" in refused(URI, tmp_path, f"models={web.url}")
    assert web.sent_bytes < ENDLESS // 4


@pytest.mark.parametrize("at", [METADATA, MEDIA])
def test_a_bucket_that_redirects_is_refused(web: Store, other: Store, tmp_path: Path, at: str) -> None:
    other.replies["/"] = status(200, WEIGHTS)
    web.replies |= {METADATA: described(), at: redirect(f"{other.url}/?secret=1")}
    said = refused(URI, tmp_path, f"models={web.url}")
    assert f"may not be read (the store redirects to {other.url}/): give the address of the store" in said
    assert other.seen == []


def test_an_object_that_is_stored_encoded_is_refused_by_the_encodings_name(
    web: Store, tmp_path: Path
) -> None:
    web.replies[METADATA] = described(contentEncoding="gzip")
    assert "stored with Content-Encoding gzip): publish it without" in refused(
        URI, tmp_path, f"models={web.url}"
    )


@pytest.mark.parametrize("name", ["x" * 3000, "%00", "a%0Ab", "a%2Fb", "%FF"])
def test_a_name_that_no_file_may_have_is_kept_under_another(web: Store, tmp_path: Path, name: str) -> None:
    web.replies[f"/{name}"] = status(200, WEIGHTS)
    kept = pull(f"{web.url}/{name}", tmp_path, PROMPT_S).path
    assert kept.read_bytes() == WEIGHTS
    assert kept.parent == tmp_path


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_no_proxy_stands_before_what_is_near(
    web: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, proxy)
    web.replies |= {"/weights": status(200, WEIGHTS), METADATA: described(), MEDIA: status(200, WEIGHTS)}
    assert pull(f"{web.url}/weights", tmp_path / "1", PROMPT_S).path.read_bytes() == WEIGHTS
    assert pull(URI, tmp_path / "2", PROMPT_S, f"models={web.url}").path.read_bytes() == WEIGHTS
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.url)
    assert pull(URI, tmp_path / "3", PROMPT_S).path.read_bytes() == WEIGHTS


def test_a_proxy_of_a_kind_that_is_not_understood_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    said = refused(f"https://{ELSEWHERE}/weights", tmp_path)
    assert "SOCKS support.): set an http:// proxy, or name the host in NO_PROXY" in said


def test_a_store_that_trickles_redirects_is_given_the_time_there_is(web: Store, tmp_path: Path) -> None:
    turn = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        turn.wait(0.3)
        redirect(f"/{len(web.seen)}")(handler)

    web.replies |= dict(zip((f"/{n}" for n in range(9)), repeat(slow)))
    with pytest.raises(StoreError, match="did not arrive within STORE_TIMEOUT_S="):
        pull(f"{web.url}/0", tmp_path, 0.8)
    turn.set()
