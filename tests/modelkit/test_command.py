"""The command line: quick help, one-line errors, the right exit codes, no PyTorch where none is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelkit.__main__ import main


def test_help_loads_no_heavy_library() -> None:
    script = "import sys; from modelkit.__main__ import build_parser; build_parser().format_help(); "
    script += "print(sorted({'torch', 'numpy', 'onnxruntime', 'matplotlib'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_publisher_needs_no_torch_and_no_onnx() -> None:
    blocked = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'onnx', 'safetensors', 'tqdm', 'sklearn'))); "
    )
    script = blocked + "import modelkit.publish, modelkit.graph, modelkit.graph, modelkit.images; print('ok')"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.stdout.strip(), ended.stderr) == ("ok", "")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["export", "--model-dir", "nowhere", "--output", "out.onnx"], 1, "nowhere"),
        (["evaluate", "--model-dir", "nowhere"], 1, "nowhere"),
        (["images", "--model-dir", "nowhere"], 1, "nowhere"),
        (["held-out", "--model-dir", "nowhere"], 1, "nowhere"),
        (["held-out", "--small", "0", "--large", "0"], 2, "give --small or --large more than 0"),
        (["train", "--photos", "nowhere"], 2, "nowhere"),
        (["train", "--freeze-backbone"], 2, "--init"),
        (["publish", "--graph", "model.onnx", "--to", "s3://x"], 2, "gs://BUCKET/PREFIX"),
    ],
)
def test_failures_are_one_line_with_a_remedy(
    arguments: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_an_unknown_verb_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fly"])
    assert ended.value.code == 2


def test_no_destination_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MODEL_DESTINATION", raising=False)
    assert main(["publish", "--graph", "model.onnx"]) == 2
    assert "MODEL_DESTINATION" in capsys.readouterr().err


def test_timing_prints_every_candidate_for_both_sizes() -> None:
    command = [sys.executable, "-m", "modelkit", "time-transform", "--seconds", "0.01"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.count("products, bands of 16") == 2
    assert ended.stdout.count("Pillow, region") == 2
