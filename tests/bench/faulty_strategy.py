"""The stub strategy with faults that set in after FAULT_AFTER requests: FAULT=hang, leak, die or wrong."""

import os
import time

import stub_strategy

FAULT, AFTER = os.environ["FAULT"], int(os.environ["FAULT_AFTER"])
# a busy machine serves few requests in a window as short as a test's
LEAK_BYTES = 16_000_000
leaked: list[bytes] = []


class Handler(stub_strategy.Handler):
    def do_GET(self) -> None:  # noqa: N802  # as the library calls it
        self.hang()
        super().do_GET()

    def do_POST(self) -> None:  # noqa: N802  # as the library calls it
        self.hang()
        if stub_strategy.served >= AFTER and FAULT == "leak":
            leaked.append(b"x" * LEAK_BYTES)
        super().do_POST()

    def hang(self) -> None:
        """The connection is open and the request read by the kernel; nothing comes back."""
        if stub_strategy.served >= AFTER and FAULT == "hang":
            time.sleep(3600)


if __name__ == "__main__":
    if FAULT == "die":
        stub_strategy.DIE_AFTER = AFTER
    if FAULT == "wrong":
        stub_strategy.WRONG_EVERY = AFTER
    stub_strategy.Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()  # noqa: S104  # all addresses, as inside a container
