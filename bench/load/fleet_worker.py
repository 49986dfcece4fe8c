"""A worker for one trial: `python -m bench.load.fleet_worker HOST PORT`, with the master's address.

The worker gets everything in messages, so that it may run on another host. It ends if its stdin closes, which
the process that started it holds. It writes the number of its requests to stdout as a JSON line.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.fileobject import FileObjectPosix
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.rpc import Message as LocustMessage

from bench.load.drive_plan import plan_from_json, schedule_from_bytes
from bench.load.messages import (
    CHUNK,
    COUNT,
    DISMISSED,
    DONE,
    HELLO,
    KEPT,
    PING,
    PONG,
    PREPARED,
    PROTOCOL,
    START,
    STOP,
    TO_WORKER,
    WINDOW,
    Inbound,
    answer_ping,
    chunks,
)
from bench.load.offer import Offer
from bench.load.worker import DISMISSED_CODE, GONE_CODE

HELLO_EVERY_S, HELLOS = 1.0, 10
MASTER_SILENT_S = 10.0


class Worker:
    """The worker's end of Locust's connection; the constructor waits until a master answers."""

    def __init__(self, host: str, port: int) -> None:
        self._inbox: Queue = Queue()
        self._blobs = Inbound()
        # not the load's environment: Locust's runner keeps statistics of every request in its environment
        self._runner = Environment().create_worker_runner(host, port)
        for name in TO_WORKER:
            self._runner.register_message(name, self._take)
        gevent.spawn(self._watch_master)

    def _take(self, environment: Environment, msg: LocustMessage) -> None:
        del environment
        if msg.type == PING:
            self._runner.send_message(PONG, answer_ping(msg.data))
        elif msg.type == CHUNK:
            self._blobs.add(msg.data)
            self._inbox.put((CHUNK, None))
        else:
            self._inbox.put((msg.type, msg.data))

    def _watch_master(self) -> None:
        """End the process if the master is silent: it is gone, and nobody waits for samples."""
        while True:
            gevent.sleep(1.0)
            heard_s = self._runner.last_heartbeat_timestamp
            if heard_s is not None and time.time() - heard_s > MASTER_SILENT_S:
                _end(GONE_CODE)

    def introduce(self) -> dict[str, bytes]:
        """Ask for the trial until the master answers, and return its plan, bodies and arrivals."""
        for _ in range(HELLOS):
            self._runner.send_message(HELLO, {"protocol": PROTOCOL})
            try:
                self._expect(CHUNK, HELLO_EVERY_S)
                break
            except Empty:
                # the last trial's master may have accepted this worker: ask the next master to accept it too
                again = LocustMessage("client_ready", -1, self._runner.client_id)  # type: ignore[no-untyped-call]  # locust's class has no types
                self._runner.client.send(again)
        else:
            _end(GONE_CODE)
        while not self._blobs.complete.keys() >= {"plan", "bodies", "arrivals"}:
            self._expect(CHUNK)
        return self._blobs.complete

    def drive(self) -> int:
        """Drive the part of a trial that the master sends, and return how many requests that were."""
        received = self.introduce()
        part = json.loads(received["plan"])
        offer = Offer(
            plan_from_json(part["plan"].encode()),
            received["bodies"],
            part["numbers"],
            schedule_from_bytes(received["arrivals"]),
        )
        self._runner.send_message(PREPARED, {})
        offer.clock.start_at(self._expect(START)["epoch_ns"])
        follower = gevent.spawn(self._follow, offer.clock.fix_window, offer.clock.stop)
        account = offer.run(
            lambda tick, *count: self._runner.send_message(COUNT, {"tick": tick, "count": count})
        )
        gevent.kill(follower)
        for chunk in chunks("samples", offer.recorder.to_bytes()):
            self._runner.send_message(CHUNK, chunk)
        self._runner.send_message(DONE, dataclasses.asdict(account))
        self._expect(KEPT)
        return len(offer.recorder)

    def _follow(self, fix_window: Callable[[float, float], None], stop: Callable[[], None]) -> None:
        while True:
            name, data = self._inbox.get()
            if name == WINDOW:
                fix_window(data["begin_s"], data["window_s"])
            elif name == STOP:
                stop()

    def _expect(self, expected: str, timeout_s: float | None = None) -> Any:
        """Return the data of the next message with this name; end the process if the master dismisses it."""
        while True:
            name, data = self._inbox.get(timeout=timeout_s)
            if name == expected:
                return data
            if name == DISMISSED:
                sys.stderr.write(data["why"] + "\n")
                _end(DISMISSED_CODE)


def _end_with_starter() -> None:
    FileObjectPosix(os.dup(sys.stdin.fileno()), "rb").read()
    _end(GONE_CODE)


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # gevent's hub has nothing left to do, and its teardown takes longer than a pause


def main() -> None:
    """Drive one trial for the master named on the command line."""
    gevent.spawn(_end_with_starter)
    try:
        requests = Worker(sys.argv[1], int(sys.argv[2])).drive()
    except ConnectionError:
        _end(GONE_CODE)
    sys.stdout.write(json.dumps({"requests": requests}) + "\n")
    _end(0)


if __name__ == "__main__":
    main()
