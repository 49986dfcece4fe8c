"""Plain Locust for comparison: its own fast client and statistics, with a plan's bodies and clients.

`python -m bench.load.plain_locust PLAN` prints its requests, failures and times in the plan's window as JSON.
It checks no answer and keeps no sample, as Locust does by itself.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path

import gevent
from locust import FastHttpUser, task
from locust.env import Environment

from bench.load.drive_plan import plan_from_json


class PlainUser(FastHttpUser):
    """Posts one body after another."""

    path: str
    bodies: tuple[tuple[bytes, dict[str, str]], ...]

    def on_start(self) -> None:
        """Begin with the first body."""
        self._turn = itertools.cycle(self.bodies)

    @task
    def post(self) -> None:
        """Send one request, as a Locust file does."""
        body, headers = next(self._turn)
        self.client.post(self.path, data=body, headers=headers)  # type: ignore[arg-type]  # it also takes bytes


def main() -> None:
    """Drive the plan that the command line names."""
    plan = plan_from_json(Path(sys.argv[1]).read_bytes())
    bodies = Path(plan.bodies).read_bytes()
    PlainUser.host, PlainUser.path = f"http://{plan.host}:{plan.port}", plan.path
    PlainUser.bodies = tuple(
        (bodies[item.offset : item.offset + item.length], {"Content-Type": item.content_type})
        for item in plan.payloads
    )
    environment = Environment(user_classes=[PlainUser])
    runner = environment.create_local_runner()
    runner.start(plan.clients, spawn_rate=plan.clients)
    gevent.sleep(plan.latest_begin_s)
    total = environment.stats.total
    at, cpu, ended = time.monotonic(), time.process_time(), total.num_requests
    gevent.sleep(plan.window_s)
    wall_s, cpu_s = time.monotonic() - at, time.process_time() - cpu
    requests, failed = total.num_requests - ended, total.num_failures
    print(json.dumps({"requests": requests, "failed": failed, "wall_s": wall_s, "cpu_s": cpu_s}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
