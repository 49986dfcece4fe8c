"""What rust_serving leaves out, each with the reason: tests that ask for it are skipped, and no others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of the contract that rust_serving does not have, why, and where its tests are.

    `tests` are files, or a file and a test's name: those that are parametrised by services are skipped.
    """

    what: str
    why: str
    tests: tuple[str, ...]


LEFT_OUT = (
    LeftOut(
        "models of any inputs and outputs",
        "it prepares images; the services in Python serve any tensors",
        ("tests/contract/test_tensor_models.py",),
    ),
    LeftOut(
        "handlers of one's own",
        "they are Python",
        (
            # it serves several models, but these tests' other two have handlers
            "tests/contract/test_models.py",
            "tests/services/test_batching.py",
            "tests/services/test_engines.py",
            "tests/services/test_life.py::"
            "test_a_request_that_outlasts_the_grace_period_is_told_so_and_the_exit_too",
            "tests/services/test_turns.py::"
            "test_who_asks_beside_large_requests_is_answered_between_their_items",
            "tests/serving_core/test_validate.py",
        ),
    ),
    LeftOut(
        "several worker processes, WORKERS",
        "its threads use all cores, which Python's do only in part",
        ("tests/services/test_workers.py",),
    ),
    LeftOut(
        "computing on a GPU, DEVICE=cuda",
        "the library of onnx_serving's wheel computes on CPUs alone",
        ("tests/batched_serving/test_cuda.py",),
    ),
)


def reason_to_leave_out(nodeid: str) -> str | None:
    """Return why rust_serving does not run a test; None if it does."""
    test = nodeid.partition("[")[0]
    file = test.partition("::")[0]
    for one in LEFT_OUT:
        if file in one.tests or test in one.tests:
            return f"rust_serving leaves out {one.what}: {one.why}"
    return None
