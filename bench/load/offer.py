"""One process's part of a trial's load: it runs the clients and records every request.

Only the driver imports this module, as it imports locust, which patches the standard library. Requests are
encoded before the trial. Every request is recorded from Locust's request event, also if it is cut off.
"""

import gc
import time
from collections.abc import Callable, Sequence

import gevent
from gevent.pool import Group
from locust import log
from locust.env import Environment

from bench.load.answers import AnswerChecker
from bench.load.client import AnswerTooLongError, Client, OpenClient, encode_requests
from bench.load.drive_plan import TELL_EVERY_S, DrivePlan, Schedule
from bench.load.open_loop import OpenLoop
from bench.load.reaching import bracketed
from bench.load.recorder import OUTCOME_CODE, Recorder
from bench.load.trial_clock import Account, TrialClock, sleep_until

WATCH_EVERY_S = 0.02
OK, WRONG, HTTP_ERROR, CONNECTION_ERROR, TIMEOUT, UNFINISHED, REFUSED = (
    OUTCOME_CODE[name]
    for name in ("ok", "wrong_answer", "http_error", "connection_error", "timeout", "unfinished", "refused")
)
# the answer of a service that is full; a 503 may come from a service that restarts
REFUSAL = 429


def outcome_of(status: int, error: BaseException | None, cut: int | None) -> int:
    """Return the outcome of a request that failed, or whose status is not 200."""
    if error is None:
        return REFUSED if status == REFUSAL else HTTP_ERROR
    if isinstance(error, AnswerTooLongError):
        return HTTP_ERROR
    if cut is not None:
        return cut
    return TIMEOUT if isinstance(error, TimeoutError) else CONNECTION_ERROR


class Offer:
    """Clients with these numbers, ready to start, and the recorder of their requests.

    In an open loop the clients share the arrivals; in a closed loop `arrivals` is empty.
    """

    def __init__(self, plan: DrivePlan, bodies: bytes, numbers: Sequence[int], arrivals: Schedule) -> None:
        self._plan = plan
        self.recorder = Recorder()
        self.clock = Client.clock = TrialClock(plan.latest_begin_s, plan.window_s)
        self._environment = Environment(user_classes=[Client])
        # with TLS too: it is put around a plain connection
        Client.host = f"http://{bracketed(plan.host)}:{plan.port}"
        Client.plan, Client.requests = plan, encode_requests(plan, bodies)
        self._open_loop = OpenClient.open_loop = OpenLoop(self.clock, arrivals)
        kind = Client if plan.rate_per_s is None else OpenClient
        self._users: Sequence[Client] = [kind(self._environment, number) for number in numbers]
        # these objects live until the end: the garbage collector need not visit them during the trial
        gc.collect()
        gc.freeze()

    def run(self, tell: Callable[[int, int, int], None]) -> Account:
        """Offer the load and return once every request has ended.

        `tell` is called every TELL_EVERY_S with the number of the call, from 1, the requests ended, and
        the ns that they took together.
        """
        self._listen()
        group = Group()
        closed = self._plan.rate_per_s is None
        if closed:
            sleep_until(self.clock.epoch_ns)
        for user in self._users:
            # a client of an open loop waits for its arrival, and so starts before the first is due
            user.start(group)
        sleep_until(self.clock.epoch_ns)
        helpers = [gevent.spawn(self._dispatch), gevent.spawn(self._watch), gevent.spawn(self._tell, tell)]
        account = self.clock.pass_window(self.recorder.__len__)
        group.join()
        gevent.killall(helpers)
        if log.unhandled_greenlet_exception:
            # Locust logs a listener's exception and goes on: the request would be missing without a word
            raise RuntimeError("a request could not be recorded: the reason is above")
        return account

    def _listen(self) -> None:
        """Check and record every request from Locust's request event."""
        checker = AnswerChecker(self._plan.payloads, self._plan.tolerance)
        add, check, epoch_ns = self.recorder.add, checker.check, self.clock.epoch_ns

        def on_request(
            context: tuple[int, int, int, int, int | None],
            response: bytes,
            status: int,
            response_length: int,
            exception: BaseException | None,
            **_: object,
        ) -> None:
            due_ns, sent_ns, done_ns, payload, cut = context
            if exception is None and 200 <= status < 300:
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

        self._environment.events.request.add_listener(on_request)  # type: ignore[no-untyped-call]  # locust's hook has no types

    def _watch(self) -> None:
        """Cut off requests that reach the timeout, or are unfinished after the drain, until the load ends."""
        drain_ns, timeout_ns = int(self._plan.drain_s * 1e9), int(self._plan.timeout_s * 1e9)
        while True:
            now = time.monotonic_ns()
            drained_ns = self.clock.stop_ns + drain_ns
            for user in self._users:
                if not user.due_ns:
                    continue
                if now >= drained_ns:
                    user.session.cut_off(UNFINISHED)
                elif now - user.due_ns >= timeout_ns:
                    user.session.cut_off(TIMEOUT)
            gevent.sleep(WATCH_EVERY_S)

    def _tell(self, tell: Callable[[int, int, int], None]) -> None:
        tick = 0
        while True:
            tick += 1
            sleep_until(self.clock.epoch_ns + int(tick * TELL_EVERY_S * 1e9))
            tell(tick, len(self.recorder), self.recorder.waited_ns)

    def _dispatch(self) -> None:
        """Run the open loop; record as unfinished what no client could take, and end the clients."""
        if self._plan.rate_per_s is None:
            return
        for due_ns, payload in self._open_loop.run(self._plan.drain_s):
            now_ns, epoch_ns = time.monotonic_ns(), self.clock.epoch_ns
            self.recorder.add(
                due_ns - epoch_ns, now_ns - epoch_ns, now_ns - epoch_ns, 0, 0, payload, UNFINISHED
            )
        self._open_loop.close()
