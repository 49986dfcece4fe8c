"""The driver: Locust's fast client, in a process of its own (`python -m bench.load.driver PLAN`).

Importing locust patches the standard library, so no other module of the harness does it. Requests are sent
as bytes encoded before the trial; every one is recorded from Locust's request event, none is cut unrecorded.
"""

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import gevent
from gevent.pool import Group
from locust.env import Environment

from bench.load.answers import AnswerChecker
from bench.load.client import Client, OpenClient, encode_requests
from bench.load.plan import READY, DrivePlan, DriveSummary, read_plan
from bench.load.recorder import OUTCOME_CODE, Recorder
from bench.load.schedule import poisson_arrivals_ns, shuffled_passes

WATCH_EVERY_S = 0.02
OK, WRONG, HTTP_ERROR, CONNECTION_ERROR, TIMEOUT, UNFINISHED, REFUSED = (
    OUTCOME_CODE[name]
    for name in ("ok", "wrong_answer", "http_error", "connection_error", "timeout", "unfinished", "refused")
)
# What a service that is full answers. 503 might be one that is starting anew.
REFUSAL = 429


def outcome_of(status: int, error: BaseException | None, cut: int | None) -> int:
    """Name the outcome of a request that is not a checked 200."""
    if error is None:
        return REFUSED if status == REFUSAL else HTTP_ERROR
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
            outcome = outcome_of(status, exception, cut)
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


def watch(users: Sequence[Client], plan: DrivePlan) -> None:
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


def schedule(plan: DrivePlan) -> list[tuple[int, int]]:
    """When each request of an open loop comes due (ns since the epoch), and its payload; empty if closed."""
    if plan.rate_per_s is None:
        return []
    due_ns = poisson_arrivals_ns(plan.rate_per_s, plan.warmup_s + plan.window_s, plan.seed)
    payloads = shuffled_passes(len(plan.payloads), f"{plan.seed}/open")
    return list(zip(due_ns, payloads, strict=False))


def dispatch(
    users: Sequence[OpenClient],
    arrivals: Sequence[tuple[int, int]],
    drain_s: float,
    recorder: Recorder,
    epoch_ns: int,
) -> None:
    """Hand each arrival to an idle client once it is due; what no client took until the end is unfinished."""
    for offset_ns, payload in arrivals:
        due_ns = epoch_ns + offset_ns
        sleep_until(due_ns)
        if due_ns >= Client.stop_ns:
            break
        drained_ns = Client.stop_ns + int(drain_s * 1e9)
        while not OpenClient.idle and time.monotonic_ns() < drained_ns:
            gevent.sleep(0.001)
        if OpenClient.idle:
            OpenClient.idle.pop().inbox.put((due_ns, payload))
        else:
            now_ns = time.monotonic_ns() - epoch_ns
            recorder.add(offset_ns, now_ns, now_ns, 0, 0, payload, UNFINISHED)
    for user in users:
        user.inbox.put(None)


def make_users(plan: DrivePlan, environment: Environment) -> Sequence[Client]:
    """The plan's clients, ready to start."""
    Client.host = f"http://{plan.host}:{plan.port}"
    Client.plan, Client.requests = plan, encode_requests(plan)
    OpenClient.idle = []
    kind = Client if plan.rate_per_s is None else OpenClient
    users = [kind(environment) for _ in range(plan.clients)]
    # what exists now stays: the collector need not look at it again during the trial
    gc.collect()
    gc.freeze()
    return users


def drive(plan: DrivePlan) -> None:
    """Run one trial and write its columns and summary."""
    recorder, environment = Recorder(), Environment(user_classes=[Client])
    arrivals, group = schedule(plan), Group()
    users = make_users(plan, environment)
    epoch_ns = await_start()
    window_ns = epoch_ns + int(plan.warmup_s * 1e9)
    Client.stop_ns = stop_ns = window_ns + int(plan.window_s * 1e9)
    listen(environment, recorder, AnswerChecker(plan.payloads, plan.tolerance), epoch_ns)
    gevent.signal_handler(signal.SIGTERM, stop_sending)
    sleep_until(epoch_ns)
    for user in users:
        user.start(group)
    helpers = [gevent.spawn(watch, users, plan), gevent.spawn(tell, recorder, epoch_ns)]
    if plan.rate_per_s is not None:
        helpers.append(gevent.spawn(dispatch, users, arrivals, plan.drain_s, recorder, epoch_ns))
    sleep_until(window_ns)
    begin_cpu_ns, begin_count = snapshot(recorder)
    sleep_until(stop_ns)
    end_cpu_ns, end_count = snapshot(recorder)
    group.join()
    gevent.killall(helpers)
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
