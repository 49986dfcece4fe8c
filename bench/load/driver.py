"""The driver: Locust's fast client, in a process of its own (`python -m bench.load.driver PLAN`).

Importing locust patches the standard library, so the harness itself never imports it. If the plan has a
fleet, this process is the fleet's master; otherwise it drives alone.
"""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import gevent
from gevent.fileobject import FileObjectPosix

from bench.load.drive_plan import DrivePlan, DriveSummary, plan_from_json, schedule
from bench.load.offer import Offer
from bench.load.pipes import Parent
from bench.load.recorder import merge


def drive_alone(plan: DrivePlan, bodies: bytes, parent: Parent) -> DriveSummary:
    """Run one trial in this process, and write its samples."""
    offer = Offer(plan, bodies, range(1, plan.clients + 1), schedule(plan))
    clock = offer.clock
    clock.start_at(parent.await_start())
    gevent.signal_handler(signal.SIGTERM, clock.stop)
    gevent.spawn(parent.follow, clock.fix_window, clock.stop)
    account = offer.run(parent.tell)
    return DriveSummary(
        rows=merge([offer.recorder.to_bytes()], Path(plan.columns)),
        requests=account.requests,
        cpu_s=account.cpu_s,
        window_begin_s=clock.begin_s,
        window_s=clock.window_s,
        busiest_core=account.busy,
        clients=plan.clients,
    )


def main() -> None:
    """Drive the plan named on the command line."""
    plan = plan_from_json(Path(sys.argv[1]).read_bytes())
    bodies = Path(plan.bodies).read_bytes()
    # other greenlets run while this waits for a line
    parent = Parent(FileObjectPosix(os.dup(sys.stdin.fileno()), "rb"))
    summary: DriveSummary | None
    if plan.fleet is None:
        summary = drive_alone(plan, bodies, parent)
    else:
        from bench.load.fleet_master import drive_fleet

        summary = drive_fleet(plan, plan.fleet, bodies, parent)
    if summary is not None:
        Path(plan.summary).write_text(json.dumps(asdict(summary)), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # gevent's hub has nothing left to do, and its teardown takes longer than a trial's pause


if __name__ == "__main__":
    main()
