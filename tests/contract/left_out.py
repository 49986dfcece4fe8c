"""What rust_serving leaves out, each with the reason: these tests are skipped for it, and no others."""

_ONE_MODEL = "rust_serving serves one model, a classifier of images"

# a file, or a test of it -> why rust_serving does not have it
LEFT_OUT = {
    "tests/contract/test_models.py": f"{_ONE_MODEL}; most of these models have handlers, in Python",
    "tests/contract/test_tensor_models.py": f"{_ONE_MODEL}: the Python services serve other signatures",
}


def reason_to_leave_out(nodeid: str) -> str | None:
    """Return why rust_serving does not run a test; None if it does."""
    file, _, test = nodeid.partition("::")
    name = test.partition("[")[0]
    return LEFT_OUT.get(file) or LEFT_OUT.get(f"{file}::{name}")
