"""Sends the held-out set to a strategy: once, in one encoding, a few requests at a time."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.measure.checked_answer import CheckedAnswer, checked_answer
from bench.measure.kept_connection import KeptConnection
from bench.measure.payloads import fitting_encodings, make_payload
from bench.measure.runtime.instance import Instance
from bench.model import Strategy
from bench.request_sets.request_set import SetRequest

AT_ONCE = 4
# so many answers that cannot be read are enough to know: a service that hangs must not take hours
MOST_UNREAD = 20
# a guess, until a session has done it: a small picture takes 5 to 10 ms of one core
REQUEST_S = 0.01


def ask_held_out(
    instance: Instance, strategy: Strategy, requests: Sequence[SetRequest], timed: Sequence[str]
) -> list[CheckedAnswer]:
    """The answers to these requests in their order, each in the first of the encodings `timed` that fits it.

    If it fits none of them, it is sent in the strategy's first that it fits; if there is none, it is not
    sent. After MOST_UNREAD answers that cannot be read, the rest is not sent either.
    """
    todo = iter([one for one in enumerate(requests) if _encoding(one[1], strategy, timed)])
    lock, found = threading.Lock(), dict[int, CheckedAnswer]()
    unread: list[int] = []
    ended = threading.Event()

    def following() -> Iterator[tuple[int, SetRequest]]:
        while not ended.is_set() and len(unread) < MOST_UNREAD:
            with lock:
                place = next(todo, None)
            if place is None:
                return
            yield place

    def ask() -> None:
        connection = KeptConnection(instance.host, instance.port, instance.access)
        try:
            for place, request in following():
                payload = make_payload(request, _encoding(request, strategy, timed), strategy.model)
                one = checked_answer(
                    payload, connection.post(strategy.path, payload), strategy, instance.access
                )
                found[place] = one
                unread.extend([place] if one.label is None else [])
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as aside:
        futures = [aside.submit(ask) for _ in range(AT_ONCE)]
        try:
            for future in futures:
                future.result()
        finally:
            ended.set()  # on Ctrl-C no client takes another request
    return [found[place] for place in sorted(found)]


def _encoding(request: SetRequest, strategy: Strategy, timed: Sequence[str]) -> str:
    """The encoding in which a request is sent; empty if the strategy takes none that carries it."""
    able = fitting_encodings(request, strategy.encodings)
    return next((one for one in timed if one in able), able[0] if able else "")
