"""The closed-loop driver: Locust's fast client, in a process of its own (`python -m bench.load.driver PLAN`).

Importing locust patches the standard library, so no other module of the harness does it. Requests are sent
as bytes encoded before the trial; every one is recorded from Locust's request event, none is cut unrecorded.
"""

import gc
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Group
from geventhttpclient.client import HTTPClientPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from geventhttpclient.url import URL
from locust import task
from locust.contrib.fasthttp import FastHttpSession, FastHttpUser
from locust.env import Environment

from bench.load.answers import AnswerChecker
from bench.load.plan import READY, DrivePlan, DriveSummary, read_plan
from bench.load.recorder import OUTCOME_CODE, Recorder

WATCH_EVERY_S = 0.02
OK, WRONG, HTTP_ERROR, CONNECTION_ERROR, TIMEOUT, UNFINISHED = (
    OUTCOME_CODE[name]
    for name in ("ok", "wrong_answer", "http_error", "connection_error", "timeout", "unfinished")
)


class EncodedSession(FastHttpSession):
    """Locust's fast session over its own connection pool and parser, for requests that are bytes already."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._pool = self.client.clientpool.get_client(URL(base_url))._connection_pool
        self.sock: Any = None
        self.sent_ns = 0
        self.cut: int | None = None

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send one encoded request and return status and body; raises OSError or HTTPParseError."""
        self.cut, self.sent_ns = None, 0
        sock = self.sock = self._pool.get_socket()
        self.sent_ns = time.monotonic_ns()
        try:
            sock.sendall(request)
        except BaseException:
            self._pool.release_socket(sock)
            raise
        # the response gives the socket back to the pool itself, also where it fails
        response = HTTPSocketPoolResponse(sock, self._pool, method="POST")
        body = response.read()
        return response.get_code(), body

    def cut_off(self, outcome: int) -> None:
        """End the request in flight; what has arrived already is still read."""
        self.cut = outcome
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


class Client(FastHttpUser):
    """One closed-loop client: sends its next request when the last is answered."""

    plan: DrivePlan
    requests: tuple[bytes, ...]
    stop_ns: int
    number = 0
    """How many clients there are; each gets an order of its own by it."""
    due_ns = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        Client.number += 1
        self._rng = random.Random(f"{self.plan.seed}/{Client.number}")  # noqa: S311  # order, not secrecy
        self.session = EncodedSession(
            f"http://{self.plan.host}:{self.plan.port}",
            request_event=environment.events.request,
            user=self,
            client_pool=HTTPClientPool(
                concurrency=1, connection_timeout=self.plan.timeout_s, network_timeout=None
            ),
        )

    def order(self) -> Iterator[int]:
        """Yield payload indices for ever, in passes over all of them, each pass shuffled."""
        indices = list(range(len(self.requests)))
        while True:
            self._rng.shuffle(indices)
            yield from indices

    @task
    def drive(self) -> None:
        """Send until the window's end: one endless task, since a task for each request costs more than it."""
        session, fire, requests = self.session, self.environment.events.request.fire, self.requests
        path, clock = self.plan.path, time.monotonic_ns
        for payload in self.order():
            due_ns = self.due_ns = clock()
            if due_ns >= Client.stop_ns:
                break
            status, body, error = 0, b"", None
            try:
                status, body = session.send(requests[payload])
            except (OSError, HTTPParseError) as failure:
                error = failure
            done_ns = clock()
            self.due_ns = 0
            fire(
                request_type="POST",
                name=path,
                response_time=(done_ns - due_ns) / 1e6,
                response_length=len(body),
                exception=error,
                context=(due_ns, session.sent_ns or done_ns, done_ns, payload, session.cut),
                response=body,
                status=status,
            )
            if error is not None:
                gevent.sleep(0.01)  # a target that refuses must not be hammered
        self.stop()


def outcome_of(error: BaseException | None, cut: int | None) -> int:
    """Name the outcome of a request that is not a checked 200."""
    if error is None:
        return HTTP_ERROR
    if cut is not None:
        return cut
    return TIMEOUT if isinstance(error, TimeoutError) else CONNECTION_ERROR


def listen(environment: Environment, recorder: Recorder, checker: AnswerChecker, epoch_ns: int) -> None:
    """Record every request from Locust's request event, its answer checked."""
    add, check = recorder.add, checker.check

    def on_request(
        context: tuple[int, int, int, int, int | None],
        response: bytes,
        status: int,
        response_length: int,
        exception: BaseException | None,
        **_: object,
    ) -> None:
        due_ns, sent_ns, done_ns, payload, cut = context
        if exception is None and status == 200:
            outcome = OK if check(payload, response) else WRONG
        else:
            outcome = outcome_of(exception, cut)
        add(
            due_ns - epoch_ns,
            sent_ns - epoch_ns,
            done_ns - epoch_ns,
            response_length,
            status,
            payload,
            outcome,
        )

    environment.events.request.add_listener(on_request)  # type: ignore[no-untyped-call]  # locust's hook has no types


def encode_requests(plan: DrivePlan) -> tuple[bytes, ...]:
    """Head and body of each payload's request, as they go over the wire."""
    bodies = Path(plan.bodies).read_bytes()
    return tuple(
        (
            f"POST {plan.path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\n"
            f"Content-Type: {item.content_type}\r\nContent-Length: {item.length}\r\n"
            "Accept: application/json\r\n\r\n"
        ).encode("ascii")
        + bodies[item.offset : item.offset + item.length]
        for item in plan.payloads
    )


def watch(users: list[Client], plan: DrivePlan) -> None:
    """Cut off what is overdue, and what the drain did not finish, until every client has stopped."""
    drain_ns, timeout_ns = int(plan.drain_s * 1e9), int(plan.timeout_s * 1e9)
    while True:
        now = time.monotonic_ns()
        drained_ns = Client.stop_ns + drain_ns
        for user in users:
            if not user.due_ns:
                continue
            if now >= drained_ns:
                user.session.cut_off(UNFINISHED)
            elif now - user.due_ns >= timeout_ns:
                user.session.cut_off(TIMEOUT)
        gevent.sleep(WATCH_EVERY_S)


def tell(recorder: Recorder, epoch_ns: int) -> None:
    """Say once a second how many requests have ended, as one JSON line."""
    while True:
        gevent.sleep(1.0)
        line = {"elapsed_s": (time.monotonic_ns() - epoch_ns) / 1e9, "requests": len(recorder)}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def stop_sending() -> None:
    """End the load now: clients send nothing more, what is in flight is drained and recorded."""
    Client.stop_ns = min(Client.stop_ns, time.monotonic_ns())


def sleep_until(instant_ns: int) -> None:
    """Sleep until an instant of the monotonic clock, or until the load was ended."""
    while (now := time.monotonic_ns()) < min(instant_ns, Client.stop_ns):
        gevent.sleep(min(0.25, (instant_ns - now) / 1e9))


def snapshot(recorder: Recorder) -> tuple[int, int]:
    """This process's CPU time (ns) and the requests ended so far."""
    return time.process_time_ns(), len(recorder)


def await_start() -> int:
    """Say that everything is ready, and return the epoch (monotonic ns) that is told in reply."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    return int(sys.stdin.readline())


def make_users(plan: DrivePlan, environment: Environment) -> list[Client]:
    """The plan's clients, ready to start."""
    Client.host = f"http://{plan.host}:{plan.port}"
    Client.plan, Client.requests = plan, encode_requests(plan)
    users = [Client(environment) for _ in range(plan.clients)]
    # what exists now stays: the collector need not look at it again during the trial
    gc.collect()
    gc.freeze()
    return users


def drive(plan: DrivePlan) -> None:
    """Run one trial and write its columns and summary."""
    recorder, environment = Recorder(), Environment(user_classes=[Client])
    users, group = make_users(plan, environment), Group()
    epoch_ns = await_start()
    window_ns = epoch_ns + int(plan.warmup_s * 1e9)
    Client.stop_ns = stop_ns = window_ns + int(plan.window_s * 1e9)
    listen(environment, recorder, AnswerChecker(plan.payloads, plan.tolerance), epoch_ns)
    gevent.signal_handler(signal.SIGTERM, stop_sending)
    sleep_until(epoch_ns)
    for user in users:
        user.start(group)
    watcher = gevent.spawn(watch, users, plan)
    teller = gevent.spawn(tell, recorder, epoch_ns)
    sleep_until(window_ns)
    begin_cpu_ns, begin_count = snapshot(recorder)
    sleep_until(stop_ns)
    end_cpu_ns, end_count = snapshot(recorder)
    group.join()
    gevent.killall([watcher, teller])
    recorder.write(Path(plan.columns))
    summary = DriveSummary(
        rows=len(recorder),
        requests=end_count - begin_count,
        cpu_s=(end_cpu_ns - begin_cpu_ns) / 1e9,
    )
    Path(plan.summary).write_text(json.dumps(asdict(summary)), encoding="utf-8")


def main() -> None:
    """Drive the plan named on the command line."""
    plan = read_plan(Path(sys.argv[1]))
    drive(plan)
    sys.stdout.flush()
    os._exit(0)  # gevent's hub has nothing left to do, and its teardown takes longer than a trial's pause


if __name__ == "__main__":
    main()
