"""A window's own figures from two scrapes, and None where a service tells of none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from bench.measure.machine.server_metrics import figures_between, read_metrics, scrape, startup_phases
from bench.model import BatchFigures, StageFigures


class Service:
    """The metrics of a service with two models."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.stage = Histogram("stage_duration_seconds", "x", ["stage", "model"], registry=registry)
        self.phase = Gauge("startup_phase_seconds", "x", ["phase", "model"], registry=registry)
        self.batch = Histogram("batch_size", "x", ["model"], buckets=(1, 2, 4, 8), registry=registry)

    def work(self, model: str, infer_s: float, batch: int) -> None:
        self.stage.labels("infer", model).observe(infer_s)
        self.batch.labels(model).observe(batch)

    def text(self) -> str:
        return generate_latest(self.registry).decode()


@contextmanager
def served(status: int, body: bytes) -> Iterator[int]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/metrics" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_only_what_happened_in_between_counts_and_models_are_summed() -> None:
    service = Service()
    service.work("a", 5.0, 8)
    before = read_metrics(service.text())
    service.work("a", 0.010, 1)
    service.work("a", 0.020, 3)
    service.work("b", 0.030, 8)
    service.stage.labels("decode", "b").observe(0.002)
    found = figures_between(before, read_metrics(service.text()))
    assert found is not None
    assert found.stages == {"infer": StageFigures(20.0, 3), "decode": StageFigures(2.0, 1)}
    assert found.batch == BatchFigures(4.0, {"1.0": 1, "4.0": 1, "8.0": 1})


def test_a_stage_that_did_not_run_has_no_figure() -> None:
    service = Service()
    service.work("a", 0.010, 1)
    before = read_metrics(service.text())
    service.stage.labels("decode", "a").observe(0.002)
    found = figures_between(before, read_metrics(service.text()))
    assert found is not None
    assert list(found.stages) == ["decode"]
    assert found.batch is None


def test_totals_that_fell_give_no_figure() -> None:
    service = Service()
    for _ in range(5):
        service.work("a", 0.010, 1)
    assert figures_between(read_metrics(service.text()), read_metrics(Service().text())) is None
    assert figures_between(None, read_metrics(service.text())) is None


def test_a_scrape_reads_what_is_served() -> None:
    service = Service()
    service.work("a", 0.5, 2)
    with served(200, service.text().encode()) as port:
        found = scrape("127.0.0.1", port)
    assert found is not None
    assert found.stages == {"infer": (0.5, 1.0)}


def test_startup_phases_are_summed_over_models() -> None:
    service = Service()
    for phase, model, seconds in (("imports", "a", 1.5), ("pull", "a", 0.25), ("pull", "b", 0.5)):
        service.phase.labels(phase, model).set(seconds)
    with served(200, service.text().encode()) as port:
        assert startup_phases("127.0.0.1", port) == {"imports": 1.5, "pull": 0.75}


def test_a_service_without_startup_phases_has_none() -> None:
    service = Service()
    service.work("a", 0.5, 2)
    with served(200, service.text().encode()) as port:
        assert startup_phases("127.0.0.1", port) == {}


@pytest.mark.parametrize(
    ("status", "body"), [(404, b""), (200, b'{"not": "prometheus"}\n'), (500, b"x 1\n"), (200, b"\xff\xfe{")]
)
def test_a_server_without_such_metrics_is_none_and_no_error(status: int, body: bytes) -> None:
    with served(status, body) as port:
        found = scrape("127.0.0.1", port)
        assert startup_phases("127.0.0.1", port) == {}
    assert figures_between(found, found) is None


def test_no_server_is_none() -> None:
    with served(200, b"") as port:
        pass
    assert scrape("127.0.0.1", port) is None
    assert startup_phases("127.0.0.1", port) == {}
