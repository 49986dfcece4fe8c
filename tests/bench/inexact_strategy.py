"""The stub strategy with answers that are not quite right.

Each probability is INEXACT_OFF away from the stub's; pictures whose digest begins with a byte below
INEXACT_OTHER get the other label. After INEXACT_TURNS requests the probabilities are as far off on the other
side: as near to the reference as before, and twice as far from what the strategy itself answered.
"""

import hashlib
import os
import sys
from typing import Any

import stub_strategy

OFF = float(os.environ.get("INEXACT_OFF", "0"))
OTHER = int(os.environ.get("INEXACT_OTHER", "0"))
TURNS = int(os.environ.get("INEXACT_TURNS", "0"))
exact = stub_strategy.answer


def answer(image: bytes) -> dict[str, Any]:
    """The stub's answer, made worse."""
    found = exact(image)
    best, other = sorted(found["probabilities"], key=lambda name: -found["probabilities"][name])
    off = -OFF if TURNS and stub_strategy.served > TURNS else OFF
    found["probabilities"] = {best: 0.9 - off, other: 0.1 + off}
    digest = hashlib.sha256(b"other" + image.partition(stub_strategy.COPY_MARK)[0]).digest()
    if digest[0] < OTHER:
        return {"prediction": other, "probabilities": {best: 0.1 + off, other: 0.9 - off}}
    return found


if __name__ == "__main__":
    stub_strategy.answer = answer
    if sys.argv[1:] == ["loop"]:
        stub_strategy.loop()
    else:
        stub_strategy.Server(("0.0.0.0", int(os.environ["PORT"])), stub_strategy.Handler).serve_forever()  # noqa: S104  # all addresses, as inside a container
