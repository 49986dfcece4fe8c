"""The driver and the harness over TLS, with headers from the environment: verified, kept, and told nobody."""

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.load.drive_plan import plan_from_json
from bench.load.launch import Drive, Driven, Fleet, Target
from bench.load.reaching import authority, headers_of, with_access
from bench.measure.bounded_http import answer_to, whole_body
from bench.measure.http_client import complaint
from bench.model import OUTCOMES, PLAIN, Access, ClosedLoad, Load, OpenLoad, Payload
from bench.model.expectations import LabelExpectation
from tests.bench.conftest import REPOSITORY, write_images
from tests.running.certificates import make_certificate

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
StubServer = Callable[..., int]
NAMES = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")
# what the stub answers to this body
BODY = b"\x00"
PAYLOAD = Payload(
    "a.jpg", "small", "raw", "image/jpeg", BODY, LabelExpectation("rain", {"rain": 0.9, "snow": 0.1})
)
SECRET = "Bearer 5f2b-not-to-be-told"  # noqa: S105  # of this test's own service


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"), *NAMES)


def trusting(certificate: Path, **variables: str) -> Access:
    return Access(True, certificate.read_text(), variables)


def driven(target: Target, load: Load, folder: Path, fleet: Fleet | None = None) -> Driven:
    running = Drive(target, [PAYLOAD], load, 1, folder, fleet)
    try:
        return running.finish()
    finally:
        running.close()


def outcomes(found: Driven) -> set[str]:
    return {OUTCOMES[int(code)] for code in found.samples.outcome}


def seen(port: int, access: Access, host: str = "localhost") -> dict[str, object]:
    with answer_to("GET", host, port, "/seen", timeout_s=10, access=access) as answer:
        return dict(json.loads(whole_body(answer)))


@pytest.mark.parametrize(
    ("load", "fleet"),
    [
        (ClosedLoad(4, 0.2, 0.6), None),
        (OpenLoad(40, 0.2, 0.6), None),
        (ClosedLoad(4, 0.2, 0.6), Fleet(local=2)),
    ],
    ids=["closed", "open", "workers"],
)
def test_the_driver_drives_over_tls_and_keeps_its_connections(
    load: Load, fleet: Fleet | None, certificate: Path, stub_server: StubServer, tmp_path: Path
) -> None:
    port, access = stub_server(certificate=certificate), trusting(certificate)
    found = driven(Target("localhost", port, "/predict/", access), load, tmp_path, fleet)
    assert outcomes(found) == {"ok"}
    told = seen(port, access)
    # a ticket for a later session, which a server sends unasked, does not end a connection
    most = 4 if isinstance(load, ClosedLoad) else 40
    assert len(found.samples) > most // 2
    assert int(str(told["connections"])) <= most + 2
    assert (told["hosts"], told["names"]) == ([f"localhost:{port}"], ["localhost"])


def test_a_ticket_for_a_later_session_ends_no_connection(certificate: Path) -> None:
    """A server sends tickets when it likes; a connection that it closed is of no more use, though."""
    listening = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                    connection.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    command = [sys.executable, "-m", "tests.bench.idle_session", str(listening.getsockname()[1])]
    done = subprocess.run(
        [*command, str(certificate)], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    listening.close()
    assert done.returncode == 0, done.stderr
    readable, kept, kept_after_its_end = json.loads(done.stdout)
    assert (readable, kept, kept_after_its_end) == (True, True, False)


def test_nobody_unknown_is_sent_anything(certificate: Path, stub_server: StubServer, tmp_path: Path) -> None:
    """Neither to a certificate of others, nor to one for another name."""
    port = stub_server(certificate=certificate)
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other", "DNS:elsewhere.example")
    elsewhere = stub_server(certificate=other)
    for place, access in ((port, trusting(other)), (elsewhere, trusting(other)), (port, Access(tls=True))):
        scratch = tmp_path / str(place) / str(access.ca is None)
        scratch.mkdir(parents=True)
        found = driven(Target("localhost", place, "/predict/", access), ClosedLoad(2, 0.1, 0.3), scratch)
        assert outcomes(found) == {"connection_error"}
        told = complaint("localhost", place, "/predict/", PAYLOAD, access=access)
        assert told is not None
        assert "certificate verify failed" in told


def test_a_service_that_never_answers_over_tls_is_cut_off(certificate: Path, tmp_path: Path) -> None:
    """In its handshake too."""
    silent = socket.create_server(("127.0.0.1", 0))
    load = ClosedLoad(2, 0.1, 0.4, drain_s=0.3, timeout_s=0.3)
    target = Target("127.0.0.1", silent.getsockname()[1], "/predict/", trusting(certificate))
    found = driven(target, load, tmp_path)
    silent.close()
    assert outcomes(found) <= {"timeout", "unfinished", "connection_error"}
    assert len(found.samples) > 0


def test_an_answer_over_tls_that_does_not_end_is_cut_off(
    certificate: Path, stub_server: StubServer, tmp_path: Path
) -> None:
    port = stub_server(certificate=certificate, delay_s=5)
    load = ClosedLoad(2, 0.1, 0.4, drain_s=0.3, timeout_s=0.3)
    found = driven(Target("127.0.0.1", port, "/predict/", trusting(certificate)), load, tmp_path)
    assert Counter(outcomes(found)).keys() <= {"timeout", "unfinished"}


def test_the_driver_reaches_an_ipv6_address(stub_server: StubServer, tmp_path: Path) -> None:
    if not socket.has_ipv6 or not _ipv6_here():
        pytest.skip("this machine has no IPv6")
    port = stub_server(host="::1")
    found = driven(Target("::1", port, "/predict/"), ClosedLoad(2, 0.1, 0.4), tmp_path)
    assert outcomes(found) == {"ok"}
    assert seen(port, PLAIN, "::1")["hosts"] == [f"[::1]:{port}"]


def _ipv6_here() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_header_from_the_environment_is_sent_and_is_in_no_plan(
    monkeypatch: pytest.MonkeyPatch, stub_server: StubServer, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    port, access = stub_server(token=SECRET), Access(variables={"Authorization": "BENCH_TEST_TOKEN"})
    for name, fleet in (("alone", None), ("fleet", Fleet(local=2))):
        scratch = tmp_path / name
        scratch.mkdir()
        found = driven(
            Target("127.0.0.1", port, "/predict/", access), ClosedLoad(2, 0.1, 0.3), scratch, fleet
        )
        assert outcomes(found) == {"ok"}
        assert not [one for one in scratch.rglob("*") if SECRET.encode() in one.read_bytes()]
        assert plan_from_json((scratch / "plan.json").read_bytes()).access == access
    assert complaint("127.0.0.1", port, "/predict/", PAYLOAD) == "status 401"
    assert complaint("127.0.0.1", port, "/predict/", PAYLOAD, access=access) is None


def test_a_request_s_own_header_takes_the_place_of_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    access = Access(variables={"Authorization": "BENCH_TEST_TOKEN"})
    assert with_access(access, {"authorization": "mine"}) == {"authorization": "mine"}
    assert with_access(access, {"X-A": "b"}) == {"Authorization": SECRET, "X-A": "b"}


@pytest.mark.parametrize("value", ["", " ", "a\nX-B: c", "a\r", "\u00e4"])
def test_a_value_that_is_no_header_s_is_refused_and_not_shown(value: str) -> None:
    access = Access(variables={"X-A": "NAMED"})
    with pytest.raises(UsageError, match="export it") as refused:
        headers_of(access, {"NAMED": value})
    assert "X-B" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "port", "tls", "named"),
    [
        ("a.example", 80, False, "a.example"),
        ("a.example", 443, True, "a.example"),
        ("a.example", 443, False, "a.example:443"),
        ("::1", 9000, False, "[::1]:9000"),
        ("::1", 443, True, "[::1]"),
    ],
)
def test_the_host_header_is_as_the_address_is_written(host: str, port: int, tls: bool, named: str) -> None:
    assert authority(host, port, replace(PLAIN, tls=tls)) == named


def test_a_redirect_says_to_give_the_final_address(stub_server: StubServer) -> None:
    port = stub_server(moved_to="/here")
    told = complaint("127.0.0.1", port, "/predict/", PAYLOAD)
    assert told == "status 307, a redirect, which is not followed: give the final address"
    assert complaint("127.0.0.1", port, "/here", PAYLOAD) is None


@pytest.mark.slow
def test_a_run_over_tls_keeps_no_secret_and_no_host(
    bench: Bench, certificate: Path, stub_server: StubServer, tmp_path: Path
) -> None:
    write_images(tmp_path / "images")
    port = stub_server(certificate=certificate, token=SECRET)
    results = tmp_path / "results"
    words = (
        *("run", "--root", tmp_path, "--results", results, "--quick", "--payloads", "small"),
        *("--concurrency", "4", "--warmup-s", "0.3", "--warmup-most-s", "0.6", "--window-s", "1"),
        *("--url", f"mine=https://localhost:{port}/predict/?key=query-key", "--ca", certificate),
        *("--header-env", "mine:Authorization=BENCH_TEST_TOKEN"),
    )
    done = bench(*words, BENCH_TEST_TOKEN=SECRET)
    (folder,) = results.iterdir()
    found = json.loads((folder / "run.json").read_text())
    (trial,) = found["trials"]
    assert (trial["error"], trial["errors"], trial["wrong_answers"]) == (None, 0, 0), done.stderr
    assert "ceiling_without_tls" in {one["code"] for one in found["doubts"]}
    told = [("the terminal", (done.stdout + done.stderr).encode())]
    told += [(one.name, one.read_bytes()) for one in folder.rglob("*") if one.is_file()]
    for secret in (SECRET, "not-to-be-told", "query-key", str(port)):
        assert [name for name, content in told if secret.encode() in content] == [], secret
    assert b"localhost" not in (folder / "run.json").read_bytes()
    refused = bench(*words[:-2])
    assert refused.returncode == 4, refused.stderr
    assert "status 401" in refused.stderr.splitlines()[-1]
