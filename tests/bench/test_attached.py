"""Services that run already are measured where they are: attached, neither started nor stopped."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.measure.http_client import port_answers
from bench.measure.runtime.attached_instance import NoAccount
from bench.measure.runtime.attached_runtime import AttachedRuntime
from bench.measure.runtime.instance import StrategyStartError
from bench.measure.steps.start import start_fresh
from bench.model import Access, AttachedOptions, Attachment, Payload, Strategy
from bench.model.expectations import LabelExpectation
from bench.verbs import run
from bench.verbs.attached_arguments import OPTIONS
from bench.verbs.jobs import make_job
from bench.verbs.parser import build_parser
from tests.bench.conftest import write_images
from tests.running.certificates import make_certificate
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
REPOSITORY = Path(__file__).parents[2]
SHORT = (
    *("--quick", "--payloads", "small", "--concurrency", "4", "--warmup-s", "0.3", "--window-s", "1"),
    *("--warmup-most-s", "0.6", "--max-other-cpu", "100%"),
)
URL = "http://127.0.0.1:9000/predict"


def read(*words: str) -> run.RunOptions:
    return run.read(build_parser(["run"]).parse_args(["run", *words]), ["run", *words])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with an image set and nothing else: what runs already needs no compose.yaml."""
    root = tmp_path / "nothing"
    root.mkdir()
    write_images(root / "images")
    return root


def only_run(results: Path) -> dict[str, Any]:
    (folder,) = results.iterdir()
    return dict(json.loads((folder / "run.json").read_text()))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://127.0.0.1:9000/predict", ("http", "127.0.0.1", 9000, "/predict")),
        ("http://localhost", ("http", "localhost", 80, "/")),
        ("https://models.example/v1?key=a%20b", ("https", "models.example", 443, "/v1?key=a%20b")),
        ("https://[::1]:9000/a", ("https", "::1", 9000, "/a")),
    ],
)
def test_an_address_says_where_requests_go(address: str, place: tuple[object, ...]) -> None:
    (service,) = read("--url", f"mine={address}").measure.places.attached
    assert (service.url.scheme, service.attachment.host, service.url.port, service.url.path) == place
    assert service.attachment.access.tls == address.startswith("https")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--url", URL], "write NAME=URL"),
        (["--url", "mine=ftp://a/b"], "http:// or https://"),
        (["--url", "mine=127.0.0.1:9000"], "http:// or https://"),
        (["--url", "mine=http://me:secret@a/b"], "--header-env mine:Authorization=VARIABLE"),
        (["--url", "mine=http://a:0/"], "port 0"),
        (["--url", "mine=http://a:70000/"], "is none"),
        (["--url", "mine=http://[::1/"], "is none"),
        (["--url", "mine=http://me:secret/word@a/b"], "is none"),
        (["--url", "mine=http://me:secret@[a/b"], "is none"),
        (["--urls", "mine=http://me:secret@a/b?key=secret"], "unrecognized"),
        (["--runtime", "http://a/b?key=secret&secret"], "invalid choice"),
        (["--url", "mine=http:///a"], "no host"),
        (["--url", "mine=http://a/b#c"], "behind #"),
        (["--url", "mine=http://a/b c"], "no URL has"),
        (["--url", "mine=http://ä.example/"], "no URL has"),
        (["--pid", "mine=-1"], "number of a process"),
        (["--container", "mine=a b"], "docker ps"),
        (["--header-env", "mine:Authorization=Bearer secret"], "environment variable"),
        (["--header-env", "mine:Host=NAME"], "request's own"),
    ],
)
def test_an_address_that_is_none_is_refused_in_a_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        read(*words)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert told in said
    assert "secret" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", ["gate", "doctor"])
def test_a_verb_that_takes_no_service_says_what_does(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        build_parser([verb]).parse_args([verb, "--url", "mine=http://a/b?key=secret"])
    said = capsys.readouterr().err
    assert (end.value.code, said.count("\n")) == (2, 1)
    assert "bench run" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--pid", "mine=1"], "no address"),
        (["--url", f"mine={URL}", "--header-env", "other:X-A=PATH"], "no address"),
        (["--url", f"mine={URL}", "--pid", "mine=1", "--container", "mine=a"], "leave out one"),
        (["--url", f"mine={URL}", "--url", f"mine={URL}"], "twice"),
        (["--url", f"mine={URL}", "--ca", "x.pem"], "of https"),
        (["--url", "mine=https://a/", "--ca", "x.pem"], "cannot be read"),
        (["--url", "mine=https://a/", "--ca", "pyproject.toml"], "no certificate"),
        (["--url", f"mine={URL}", "--header-env", "mine:X-A=BENCH_NOT_THERE"], "is not in the environment: "),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(UsageError, match=told):
        read(*words)


def test_a_run_keeps_names_and_schemes_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TOKEN", "Bearer secret")
    words = (
        *("--url", "mine=http://inner.example:9000/predict?key=7", "--url=ours=http://10.9.8.7/", "--pid"),
        *("mine=4711", "--container=ours=hidden", "--header-env", "mine:Authorization=BENCH_TOKEN"),
    )
    options = read(*words).measure
    assert options.session.attached == (
        AttachedOptions("mine", "http", "process", ("Authorization",)),
        AttachedOptions("ours", "http", "container"),
    )
    assert options.command == (
        "python -m bench run --url mine=http://HOST --url=ours=http://HOST --pid mine=PID "
        "--container=ours=CONTAINER --header-env mine:Authorization=BENCH_TOKEN"
    )


def test_urls_alone_need_no_compose_file(images: Path) -> None:
    options = read("--root", str(images), "--url", f"mine={URL}").measure
    plan = make_job(options.session, options.places).plan
    assert [one.name for one in plan.strategies] == ["mine"]
    assert plan.started == ()


def test_urls_stand_beside_strategies_that_are_named(project: Path) -> None:
    root, url = ("--root", str(project)), ("--url", f"mine={URL}")
    options = read(*root, *url, "--strategies", "fast").measure
    plan = make_job(options.session, options.places).plan
    assert [one.name for one in plan.strategies] == ["fast", "mine"]
    assert [one.name for one in plan.started] == ["fast"]
    taken = read(*root, "--url", f"fast={URL}", "--strategies", "fast").measure
    with pytest.raises(UsageError, match="give --url another name"):
        make_job(taken.session, taken.places)


def test_the_open_protocol_takes_the_model_of_the_address(images: Path) -> None:
    def job(path: str) -> Any:
        url = f"mine=http://127.0.0.1:9000{path}"
        options = read("--root", str(images), "--encoding", "oip-json", "--url", url).measure
        return make_job(options.session, options.places)

    sent = job("/v2/models/stub/infer").plan.payloads["small", "oip-json"]
    assert {one.path for one in sent} == {"/v2/models/stub/infer"}
    sent = job("/v2/models/my%20model%2Fa/infer").plan.payloads["small", "oip-json"]
    assert {one.path for one in sent} == {"/v2/models/my%20model%2Fa/infer"}
    for path in ("/predict", "/v2/models/stub"):
        with pytest.raises(UsageError, match="/v2/models/MODEL/infer"):
            job(path)
    for path in ("/v2/models/stub/versions/3/infer", "/v2/models/stub/infer?key=7", "/v2/models/stub/infer/"):
        plan = job(path).plan
        assert {one.path for one in plan.payloads["small", "oip-json"]} == {None}
        assert plan.strategies[0].path == path


def test_versions_of_a_model_are_measured_beside_each_other(images: Path, project: Path) -> None:
    url = "http://127.0.0.1:9000/v2/models/stub"
    words = ("--encoding", "oip-json", "--url", f"old={url}/infer", "--url", f"new={url}/versions/2/infer")
    options = read("--root", str(images), *words).measure
    plan = make_job(options.session, options.places).plan
    assert {one.path for one in plan.payloads["small", "oip-json"]} == {None}
    assert [one.path for one in plan.strategies] == [
        "/v2/models/stub/infer",
        "/v2/models/stub/versions/2/infer",
    ]
    compose = project / "compose.yaml"
    compose.write_text(compose.read_text().replace("json,raw", "json,oip-json"))
    beside = read("--root", str(project), *words, "--strategies", "fast").measure
    with pytest.raises(UsageError, match="as a version, which"):
        make_job(beside.session, beside.places)


def test_other_encodings_go_to_the_version_of_the_address(images: Path) -> None:
    url = "mine=http://127.0.0.1:9000/v2/models/stub/versions/3/infer"
    options = read("--root", str(images), "--encoding", "json", "--url", url).measure
    plan = make_job(options.session, options.places).plan
    assert {one.path for one in plan.payloads["small", "json"]} == {None}
    assert plan.strategies[0].path == "/v2/models/stub/versions/3/infer"


def test_a_run_goes_on_with_the_address_given_again(images: Path) -> None:
    before = read("--root", str(images), "--url", f"mine={URL}").measure.session
    again = read("--resume", "x", "--root", str(images), "--url", f"mine={URL}").measure.places
    assert make_job(before, again).plan.strategies[0].port == 9000
    for words, told in (
        ((), "give --url mine=URL again"),
        (("--url", "mine=https://127.0.0.1:9000/"), "it was http"),
        (("--url", f"mine={URL}", "--pid", "mine=1"), "neither --pid nor --container"),
        (("--url", f"mine={URL}", "--url", f"other={URL}"), "did not measure other"),
    ):
        places = read("--resume", "x", "--root", str(images), *words).measure.places
        with pytest.raises(UsageError, match=told):
            make_job(before, places)


def test_a_header_from_the_environment_is_of_this_host(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TOKEN", "Bearer secret")
    words = ("--root", str(images), "--url", "mine=http://192.0.2.1/", "--remote-workers", "1")
    options = read(*words, "--listen", "192.0.2.2", "--header-env", "mine:X-A=BENCH_TOKEN").measure
    with pytest.raises(UsageError, match="workers on other hosts do not have"):
        make_job(options.session, options.places)


def test_every_option_of_a_service_may_be_given_again() -> None:
    assert set(OPTIONS) <= set(run.RESUME_OPTIONS)


def measured(bench: Bench, root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return bench("run", "--root", root, "--results", root / "results", *SHORT, *words)


def test_a_service_that_runs_already_is_measured_and_runs_on(
    bench: Bench, images: Path, stub_server: Callable[..., int]
) -> None:
    port = stub_server()
    done = measured(bench, images, "--url", f"mine=http://localhost:{port}/predict/")
    found = only_run(images / "results")
    assert done.returncode == code_of(found), done.stderr
    assert (found["runtime"], found["environment"]["service_cores"]) == ("attached", None)
    (trial,) = found["trials"]
    assert trial["error"] is None
    assert (trial["wrong_answers"], trial["ok"] > 0) == (0, True)
    assert (trial["cpu_ms_per_request"], trial["peak_memory_bytes"]) == (None, None)
    mine = found["strategies"]["mine"]
    assert (mine["attached"], mine["startup"], mine["image"]) == (True, None, None)
    # its own metrics are read all the same
    assert trial["server"]["stages"]["infer"]["count"] > 0
    codes = [one["code"] for one in found["doubts"]]
    assert codes.count("attached") == 1
    assert "stolen_unknown" not in {one["code"] for one in trial["doubts"]}
    assert str(port) not in json.dumps(found)
    # it has not been stopped
    assert port_answers("127.0.0.1", port)


def test_a_service_that_does_not_answer_is_said_in_a_line(bench: Bench, images: Path) -> None:
    done = measured(bench, images, "--url", f"mine=http://127.0.0.1:{free_port()}/predict/")
    assert done.returncode == 4
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("bench: nothing was timed: mine accepts no connection: see that it runs")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"token": "x"}, "(status 401): give the header that it asks for with --header-env"),
        ({"fail_every": 1, "fail_status": 503}, "(status 503): see that it is ready, and its log"),
        ({"moved_to": "/there"}, "a redirect, which is not followed: give the final address"),
        ({"gzip": 1}, "answered with gzip, which it was not asked for: switch that off"),
        ({"tls": 1}, "write https:// if it speaks TLS"),
    ],
)
def test_why_a_service_gives_no_right_answer_has_its_own_remedy(
    settings: dict[str, Any], told: str, stub_server: Callable[..., int], tmp_path: Path
) -> None:
    if settings.pop("tls", None):
        settings["certificate"] = make_certificate(tmp_path, "DNS:localhost")
    port = stub_server(**settings)
    access = Access(query="key=s3cr3t-key")
    strategy = Strategy(
        *("mine", "mine", "", port, "/predict/?key=s3cr3t-key", "", ("raw",), None),
        attachment=Attachment("127.0.0.1", access),
    )
    runtime = AttachedRuntime(tmp_path, {"mine": NoAccount()})
    expect = LabelExpectation("rain", {"rain": 0.9})
    payload = Payload("a", "seed", "raw", "application/octet-stream", b"a", expect)
    with pytest.raises(StrategyStartError, match=re.escape(told)) as refused:
        start_fresh(runtime, strategy, payload)
    assert "s3cr3t" not in str(refused.value)


def test_a_service_that_dies_fails_its_trial(
    bench: Bench, images: Path, stub_server: Callable[..., int]
) -> None:
    port = stub_server(die_after=60)
    done = measured(bench, images, "--url", f"mine=http://127.0.0.1:{port}/predict/")
    found = only_run(images / "results")
    assert done.returncode == 4, done.stderr
    (trial,) = found["trials"]
    assert not trial["valid"]
    assert "exited" in {one["code"] for one in trial["doubts"]}
    assert "Traceback" not in done.stderr
