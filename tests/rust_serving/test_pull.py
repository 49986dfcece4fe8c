"""rust_serving pulls its model as the Python services do: same stores, same cache, same words."""

import base64
import contextlib
import copy
import datetime
import hashlib
import ipaddress
import json
import os
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_core.errors import StartError
from serving_core.models.addresses import shown
from serving_core.models.manifest import read_classifier, read_manifest
from serving_core.models.store import pull, pull_model
from tests.conftest import model_store
from tests.running.rust import rust_target

GRAPH = bytes(range(256)) * 4096
URI = "gs://models/weather/network.onnx"
DESCRIBED = "/storage/v1/b/models/o/weather%2Fnetwork.onnx"
MANIFEST: dict[str, Any] = {
    "name": "weather",
    "version": "1",
    "kind": "image",
    "files": {"network.onnx": {"sha256": hashlib.sha256(GRAPH).hexdigest()}},
    "labels": ["rain", "snow"],
    "transform": {
        "resize": 256,
        "crop": 224,
        "interpolation": "bilinear",
        "antialias": True,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
}

pytestmark = [
    pytest.mark.rust,
    pytest.mark.slow,
    # google-cloud-storage leaves the socket of a transfer that broke off to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

# what the environment says of stores, proxies and trust is each test's own
OTHERS = re.compile(r"(?i)(.*_proxy|google_.*|gce_.*|cloudsdk_.*|storage_.*|.*ca_bundle|ssl_cert_.*)")


@dataclass(frozen=True)
class Outcome:
    """What a pull in Rust printed."""

    status: int
    said: str

    @property
    def cached(self) -> bool:
        return self.said.startswith("true ")

    @property
    def path(self) -> Path:
        return Path(self.said.splitlines()[0].partition(" ")[2])


def pull_in_rust(
    uri: str,
    cache: Path,
    timeout_s: float = 20,
    local_store: str = "-",
    manifest_uri: str = "-",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Pull in a process of its own; `manifest_uri` is "none" if only the file is wanted."""
    clean = {name: value for name, value in os.environ.items() if not OTHERS.fullmatch(name)}
    made = subprocess.run(
        [str(rust_target("pull")), uri, str(cache), str(timeout_s), local_store, manifest_uri],
        env={**clean, "HOME": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode in (0, 1), made.stderr
    assert made.stderr == ""
    return Outcome(made.returncode, made.stdout.removesuffix("\n"))


def refused(
    uri: str,
    cache: Path,
    timeout_s: float = 20,
    local_store: str = "-",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the one line of a refusal of the file alone."""
    outcome = pull_in_rust(uri, cache, timeout_s, local_store, "none", environment)
    assert outcome.status == 1, outcome.said
    assert "\n" not in outcome.said
    return outcome.said


def put(emulator: str, name: str, content: bytes) -> None:
    requests.post(
        f"{emulator}/upload/storage/v1/b/models/o",
        params={"uploadType": "media", "name": name},
        data=content,
        headers={"Content-Type": "application/octet-stream"},
        timeout=120,
    ).raise_for_status()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real emulator that holds the model."""
    with model_store(tmp_path_factory.mktemp("bucket")) as address:
        put(address, "weather/network.onnx", GRAPH)
        put(address, "weather/model.json", json.dumps(MANIFEST).encode())
        yield address


Handle = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A server whose `handle` answers; it remembers the requests."""

    handle: Handle
    url: str = ""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextlib.contextmanager
def serving(handle: Handle, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    made = Server(handle)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            made.seen.append((self.command, self.path, {**self.headers}))
            with contextlib.suppress(OSError):
                made.handle(self)
            self.close_connection = True

        do_GET = do_POST = do_CONNECT = answer  # noqa: N815 - the standard library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https" if context else "http"
        made.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def reply(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", length: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("way", ["LOCAL_STORE", "STORAGE_EMULATOR_HOST"])
def test_a_model_arrives_from_the_emulator_and_a_second_start_finds_it(
    emulator: str, tmp_path: Path, way: str
) -> None:
    store, named = (f"models={emulator}", {}) if way == "LOCAL_STORE" else ("-", {way: emulator})
    first = pull_in_rust(URI, tmp_path, local_store=store, environment=named)
    assert (first.status, first.cached) == (0, False), first.said
    assert first.path.read_bytes() == GRAPH
    assert 'name: "weather"' in first.said
    again = pull_in_rust(URI, tmp_path, local_store=store, environment=named)
    assert (again.cached, again.path) == (True, first.path)
    assert len(list(tmp_path.iterdir())) == 2


def test_both_languages_share_a_cache(emulator: str, tmp_path: Path) -> None:
    kept = pull_in_rust(URI, tmp_path, local_store=f"models={emulator}").path
    found = pull_model(URI, tmp_path, 20, f"models={emulator}")
    assert (found.cached, found.path) == (True, kept)
    kept.unlink()
    found = pull_model(URI, tmp_path, 20, f"models={emulator}")
    assert not found.cached
    assert pull_in_rust(URI, tmp_path, local_store=f"models={emulator}").cached


def in_python(uri: str, cache: Path, timeout_s: float, local_store: str) -> str:
    with pytest.raises(StartError) as caught:
        pull(uri, cache, timeout_s, local_store)
    return str(caught.value)


def without_cause(said: str) -> str:
    """Drop what a library says, which stands in parentheses."""
    return re.sub(r"\(.*\)", "()", said)


@pytest.mark.parametrize(
    ("change", "timeout_s", "exact"),
    [
        (lambda handler: reply(handler, 404), 20, True),
        (lambda handler: reply(handler, 403, b"no"), 20, False),
        (lambda handler: reply(handler, 503, b"busy"), 0.6, False),
        (lambda handler: reply(handler, 200, GRAPH[:-7]), 20, True),
        (lambda handler: reply(handler, 200, GRAPH + b"x"), 20, True),
        (lambda handler: reply(handler, 200, GRAPH[::-1]), 20, True),
        (lambda handler: reply(handler, 200, GRAPH[:-7], length=len(GRAPH)), 20, False),
        (lambda _: threading.Event().wait(1.2), 0.6, True),
        (lambda handler: reply(handler, 302, Location="http://elsewhere/x?secret=1"), 20, True),
    ],
    ids=["missing", "denied", "busy", "short", "long", "changed", "cut", "silent", "redirect"],
)
def test_a_store_that_fails_is_named_in_pythons_words(
    emulator: str, tmp_path: Path, change: Handle, timeout_s: float, exact: bool
) -> None:
    def handle(handler: BaseHTTPRequestHandler) -> None:
        if "alt=media" in handler.path:
            change(handler)
            return
        upstream = requests.get(emulator + handler.path, timeout=120)
        reply(handler, upstream.status_code, upstream.content, Content_Type="application/json")

    with serving(handle) as front:
        store = f"models={front.url}"
        ours = refused(URI, tmp_path, timeout_s, store)
        theirs = in_python(URI, tmp_path, timeout_s, store)
    assert ours == theirs if exact else without_cause(ours) == without_cause(theirs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "uri",
    [
        "weights",
        "gs://bucket",
        "http://example.com/x",
        "https://u:p@[host/x",
        "gs://u:p@ss@bucket",
        "file:///nowhere/x",
        "file:///etc",
        "file:///x%00",
        "file://",
        "file:///dev/null",
        "http://192.0.2.1\\@127.0.0.1/weights",
    ],
)
def test_an_address_is_judged_in_pythons_words(tmp_path: Path, uri: str) -> None:
    assert refused(uri, tmp_path) == in_python(uri, tmp_path, 20, "-")


@settings(max_examples=150)
@given(st.text(st.sampled_from("ab:/?#@'\") \t\x1cé"), max_size=20))
def test_secrets_are_hidden_as_python_hides_them(tail: str) -> None:
    """An address of no known kind is shown: that is a look at what is hidden."""
    for uri in (f"x://{tail}", f"x Bearer {tail}", f"x {tail}//{tail}"):
        if "\0" not in uri and "[" not in uri:
            said = refused(uri, Path("/nonexistent"))
            assert said.startswith(f"{shown(uri)} is not a model address: give "), uri


STATISTICS: tuple[Any, ...] = (
    None,
    [],
    [1],
    [1, 2, 3, 4],
    [1, "x", None],
    ["1", True, 0],
    [0.5, -1, 0],
    ["inf", "nan", 1],
    "abc",
)
# values for a field, right and wrong
VALUES: dict[str, tuple[Any, ...]] = {
    "name": (1, None, "", "a b", ".a", "é"),
    "version": (1, None, "", "a b", "2.0"),
    "files": (
        None,
        [],
        {"f": 1},
        {"f": {}},
        {"f": {"sha256": 1}, "g": {"sha256": "x"}},
        {"f": {"sha256": "A" * 64}},
    ),
    "labels": (None, "ab", [], ["a"], ["a", 1, None], ["a", "b", 1], ["a", "a"], {"a": 1}),
    "architecture": (None, "", 1, [], "package:factory"),
    "logit_tolerance": (0, -1, "x", "0.5", None, True, [], 1e300),
    "softmax": (None, 2, 1, 0.0, "yes", "x", [], "TRUE"),
    "transform": (None, [], "x", {}),
    "transform.resize": (0, 4097, 100),
    "transform.crop": (
        224.0,
        224.5,
        "224",
        "224.0",
        "x",
        None,
        True,
        [],
        300,
        10**30,
        -(10**30),
        2**63,
        1e300,
    ),
    "transform.interpolation": ("nearest", None, 1),
    "transform.antialias": (False, 1, None, "true"),
    "transform.mean": STATISTICS,
    "transform.std": STATISTICS,
}


def manifests() -> dict[str, Any]:
    """Manifests with a field that is another or missing, by what is changed."""
    made: dict[str, Any] = {"a list": [], "null": None, "a text": "x", "empty": {}}
    for name in ("name", "labels", "transform"):
        made[f"no {name}"] = {key: value for key, value in MANIFEST.items() if key != name}
    for path, values in VALUES.items():
        for value in values:
            changed = copy.deepcopy(MANIFEST)
            *folders, last = path.split(".")
            at = changed[folders[0]] if folders else changed
            at[last] = value
            made[f"{path} {value!r}"] = changed
    return made


@pytest.mark.parametrize(
    ("name", "document"), manifests().items(), ids=lambda given: given if isinstance(given, str) else ""
)
def test_a_manifest_is_right_or_wrong_in_pythons_words(tmp_path: Path, name: str, document: Any) -> None:
    del name
    graph, manifest = tmp_path / "network.onnx", tmp_path / "model.json"
    graph.write_bytes(GRAPH)
    manifest.write_text(json.dumps(document))
    try:
        read = read_manifest(manifest.read_bytes(), manifest.as_uri())
        read_classifier(read)
        theirs = ""
    except StartError as error:
        theirs = str(error)
    ours = pull_in_rust(graph.as_uri(), tmp_path)
    if "this model's manifest" in ours.said:
        assert ours.said == theirs
    else:
        # what follows a manifest's own fields: its kind, and the digest of the file
        without_labels = not isinstance(document, dict) or "labels" not in document
        assert not theirs or without_labels, theirs
        assert ours.status == 0 or re.search(
            "cannot be verified|is none of the files|names no kind", ours.said
        )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "tensors"}, "has the kind 'tensors', and rust_serving serves image classifiers alone: "),
        ({"kind": "sound"}, "has the kind 'sound', and rust_serving serves image classifiers alone: "),
        ({"kind": None}, "names no kind, and rust_serving serves image classifiers alone: "),
    ],
)
def test_another_kind_is_refused_with_the_service_to_take(
    tmp_path: Path, fields: dict[str, Any], says: str
) -> None:
    graph, manifest = tmp_path / "network.onnx", tmp_path / "model.json"
    graph.write_bytes(GRAPH)
    manifest.write_text(json.dumps({**MANIFEST, **fields}))
    said = pull_in_rust(graph.as_uri(), tmp_path).said
    assert said.startswith(f"{manifest.as_uri()} {says}")
    assert "onnx_serving" in said


@dataclass(frozen=True)
class Trust:
    """A certificate authority's file, and a server's context for 127.0.0.1 and Google's store."""

    bundle: Path
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    folder = tmp_path_factory.mktemp("trust")
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()

    def certificate(name: str, key: Any, issuer: str, signer: Any, *, authority: bool) -> bytes:
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
        builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1])
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - day).not_valid_after(now + day)
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("storage.googleapis.com")]
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(pem)

    authority, server = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    bundle = folder / "authority.pem"
    bundle.write_bytes(certificate("authority", authority, "authority", authority, authority=True))
    secret = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(
        secret + certificate("server", server, "authority", authority, authority=False)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return Trust(bundle, context)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_https_is_verified_by_the_bundle_and_never_leads_to_http(
    trust: Trust, tmp_path: Path, variable: str
) -> None:
    with (
        serving(lambda handler: reply(handler, 200, GRAPH)) as plain,
        serving(lambda handler: reply(handler, 200, GRAPH), trust.context) as secure,
    ):
        trusted = {variable: str(trust.bundle)}
        uri = f"{secure.url}/weights"
        assert (
            pull_in_rust(uri, tmp_path / "1", manifest_uri="none", environment=trusted).path.read_bytes()
            == GRAPH
        )
        said = refused(uri, tmp_path / "2", 0.5)
        assert said.startswith(f"{uri} could not be reached for 0.5 s (")
        secure.handle = lambda handler: reply(handler, 302, Location=f"{plain.url}/weights")
        said = refused(uri, tmp_path / "2", environment=trusted)
        assert f"redirects to {plain.url}/weights, which is not https" in said
        assert plain.seen == []
    said = refused(uri, tmp_path / "2", environment={variable: str(tmp_path / "none.pem")})
    assert said.startswith(f"{variable}={tmp_path / 'none.pem'}: No such file or directory: name a ")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_no_proxy_stands_before_what_is_near(
    emulator: str, tmp_path: Path, variable: str, proxy: str
) -> None:
    given = {variable: proxy}
    assert pull_in_rust(URI, tmp_path / "1", local_store=f"models={emulator}", environment=given).status == 0
    assert (
        pull_in_rust(URI, tmp_path / "2", environment={"STORAGE_EMULATOR_HOST": emulator, **given}).status
        == 0
    )
    with serving(lambda handler: reply(handler, 200, GRAPH)) as web:
        assert (
            pull_in_rust(f"{web.url}/x", tmp_path / "3", manifest_uri="none", environment=given).status == 0
        )


def test_a_proxy_of_a_kind_that_is_not_understood_is_named(tmp_path: Path) -> None:
    said = refused("https://192.0.2.1/weights", tmp_path, environment={"HTTPS_PROXY": "socks5://127.0.0.1:9"})
    assert "SOCKS support.): set an http:// proxy, or name the host in NO_PROXY" in said


def test_a_proxy_that_is_down_is_told_from_a_store_that_is(tmp_path: Path) -> None:
    given = {"HTTPS_PROXY": "http://name:secret@127.0.0.1:9"}
    said = refused("https://192.0.2.1/weights", tmp_path, 0.5, environment=given)
    cause = "through a proxy, Connection refused"
    remedy = "check its address and that it is up"
    assert said == f"https://192.0.2.1/weights could not be reached for 0.5 s ({cause}): {remedy}"


@dataclass
class Google:
    """Google's store behind a proxy here: the requests for it, and what a pull needs to reach it."""

    environment: dict[str, str]
    seen: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def google(trust: Trust, emulator: str) -> Iterator[Google]:
    """A proxy that answers for storage.googleapis.com with what the emulator holds."""

    def tunnel(handler: BaseHTTPRequestHandler) -> None:
        assert handler.path == "storage.googleapis.com:443"
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.flush()
        with trust.context.wrap_socket(handler.connection, server_side=True) as inside:
            reader = inside.makefile("rb")
            while line := reader.readline():
                path = line.decode().split()[1]
                headers = dict(
                    iter(lambda: reader.readline().decode().strip().partition(": ")[::2], ("", ""))
                )
                made.seen.append((path, {k.lower(): v for k, v in headers.items()}.get("authorization", "")))
                upstream = requests.get(emulator + path, timeout=120)
                head = f"HTTP/1.1 {upstream.status_code} X\r\nContent-Length: {len(upstream.content)}\r\n\r\n"
                inside.sendall(head.encode() + upstream.content)

    with serving(tunnel) as proxy:
        made = Google({"HTTPS_PROXY": proxy.url, "REQUESTS_CA_BUNDLE": str(trust.bundle)})
        yield made


def test_a_token_of_the_environment_is_sent_through_the_proxy(google: Google, tmp_path: Path) -> None:
    given = {"CLOUDSDK_AUTH_ACCESS_TOKEN": "token-of-a-test\n", **google.environment}
    outcome = pull_in_rust(URI, tmp_path, environment=given)
    assert outcome.status == 0, outcome.said
    assert {sent for _, sent in google.seen} == {"Bearer token-of-a-test"}
    assert any("alt=media" in path for path, _ in google.seen)


def service_account(token_uri: str, key: rsa.RSAPrivateKey, form: serialization.PrivateFormat) -> str:
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "client_email": "reader@example.iam.gserviceaccount.com",
        "private_key_id": "key-1",
        "private_key": pem.decode(),
        "token_uri": token_uri,
    }
    return json.dumps(account)


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_a_service_account_exchanges_a_signed_assertion_for_a_token(
    google: Google, tmp_path: Path, form: str
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    assertions: list[str] = []

    def token(handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        fields = dict(part.split("=") for part in sent.split("&"))
        assert fields["grant_type"] == "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
        assertions.append(fields["assertion"])
        if len(assertions) == 1:
            reply(handler, 503)
        else:
            reply(handler, 200, json.dumps({"access_token": "exchanged", "expires_in": 3599}).encode())

    credentials = tmp_path / "account.json"
    with serving(token) as server:
        credentials.write_text(
            service_account(f"{server.url}/token", key, getattr(serialization.PrivateFormat, form))
        )
        given = {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials), **google.environment}
        outcome = pull_in_rust(URI, tmp_path / "cache", environment=given)
    assert outcome.status == 0, outcome.said
    assert {sent for _, sent in google.seen} == {"Bearer exchanged"}
    # one is refused once, then one each for the file and the manifest
    assert len(assertions) == 3
    head, claims, signature = assertions[0].split(".")

    def decoded(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    key.public_key().verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
    said = json.loads(decoded(claims))
    assert said["exp"] - said["iat"] == 3600
    assert said["iss"] == "reader@example.iam.gserviceaccount.com"
    assert said["scope"] == "https://www.googleapis.com/auth/devstorage.read_only"
    assert said["aud"] == "https://oauth2.googleapis.com/token"


def test_a_refused_assertion_is_told_and_shows_no_secret(google: Google, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    error = {"error": "invalid_grant", "error_description": "Invalid JWT"}
    credentials = tmp_path / "account.json"
    with serving(lambda handler: reply(handler, 400, json.dumps(error).encode())) as server:
        form = serialization.PrivateFormat.PKCS8
        credentials.write_text(service_account(f"{server.url}/token", key, form))
        given = {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials), **google.environment}
        said = refused(URI, tmp_path / "cache", environment=given)
    remedy = "grant this service's account read access"
    assert said == f"{URI} may not be read (invalid_grant: Invalid JWT): {remedy}"
    assert google.seen == []


def test_the_metadata_server_gives_a_token(google: Google, tmp_path: Path) -> None:
    def metadata(handler: BaseHTTPRequestHandler) -> None:
        assert handler.headers["Metadata-Flavor"] == "Google"
        token = json.dumps({"access_token": "of-the-machine", "expires_in": 3599, "token_type": "Bearer"})
        body = token.encode() if "/token?" in handler.path else b""
        reply(handler, 200, body, Metadata_Flavor="Google", Content_Type="application/json")

    with serving(metadata) as server:
        host = server.url.removeprefix("http://")
        given = {"GCE_METADATA_IP": host, "GCE_METADATA_HOST": host, **google.environment}
        outcome = pull_in_rust(URI, tmp_path, environment=given)
    assert outcome.status == 0, outcome.said
    assert {sent for _, sent in google.seen} == {"Bearer of-the-machine"}
    assert "/instance/service-accounts/default/token?scopes=https" in server.seen[1][1]


def test_the_login_of_a_user_is_refreshed(google: Google, tmp_path: Path) -> None:
    def token(handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        assert "grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=r" in sent
        reply(handler, 200, json.dumps({"access_token": "of-the-user"}).encode())

    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    with serving(token) as server:
        login = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
        (folder / "application_default_credentials.json").write_text(
            json.dumps({**login, "token_uri": server.url})
        )
        outcome = pull_in_rust(URI, tmp_path, environment=google.environment)
    assert outcome.status == 0, outcome.said
    assert {sent for _, sent in google.seen} == {"Bearer of-the-user"}


@pytest.mark.parametrize("token", ["ya29.one\ntwo", "ya29.on\N{LATIN SMALL LETTER E WITH ACUTE}", "ya29 one"])
def test_a_malformed_token_is_refused_and_not_shown(token: str, tmp_path: Path) -> None:
    said = refused("gs://elsewhere/x", tmp_path, environment={"CLOUDSDK_AUTH_ACCESS_TOKEN": token})
    assert said == "CLOUDSDK_AUTH_ACCESS_TOKEN is not an access token: set what gcloud prints, alone"


def test_credentials_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    def said(path: Path) -> str:
        return refused(
            "gs://elsewhere/x", tmp_path, environment={"GOOGLE_APPLICATION_CREDENTIALS": str(path)}
        )

    remedy = "grant this service's account read access"
    missing, folder, text = tmp_path / "none.json", tmp_path / "folder", tmp_path / "text"
    folder.mkdir()
    text.write_text("{")
    assert said(missing) == f"gs://elsewhere/x may not be read (File {missing} was not found.): {remedy}"
    assert said(folder) == (
        f"credentials file {folder}: Is a directory: make it readable for the service's user"
    )
    assert said(text) == f"gs://elsewhere/x may not be read (File {text} is not a valid json file.): {remedy}"
    text.write_text(json.dumps({"type": "external_account"}))
    assert "does not have a valid type. Type is external_account): give the key of a service" in said(text)
    text.write_text(json.dumps({"type": "service_account", "client_email": "e", "token_uri": "t"}))
    assert "missing fields private_key)" in said(text)
    nobody = refused("gs://elsewhere/x", tmp_path, environment={"NO_GCE_CHECK": "true"})
    assert "(Your default credentials were not found. " in nobody
