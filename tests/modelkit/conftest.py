"""What the modelkit tests share: the committed model and images, and graphs exported from them once."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Threads that wait for each other on busy cores make short tests slow."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The committed model."""
    return ROOT / "model"


@pytest.fixture(scope="session")
def images() -> Path:
    """The committed image set."""
    return ROOT / "images"
