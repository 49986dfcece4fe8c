"""Publication of the network in machine code: compile for this processor, check the answers, upload."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from modelkit import ModelkitError
from modelkit.compiled import CompiledError, compile_network, load_compiled
from modelkit.destination import RETRY_FOR_S, Destination
from modelkit.graph import Parity, compare, read_expected, read_tolerance
from modelkit.images import decode, reference_input
from modelkit.manifest import (
    COMPILED_FILE,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    read_json,
    read_transform,
    rewritten,
    write_json,
)
from modelkit.reference import load_network


def publish_compiled(model_dir: Path, images: Path, to: str, retry_for_s: float = RETRY_FOR_S) -> None:
    """Compile the network for this processor, check it against the image set, write it with its manifest.

    The place is a model's own, beside that of its other forms, since these are published by another program.
    Raises ModelkitError, one line with the remedy.
    """
    destination = Destination.parse(to)
    content, transform = read_json(model_dir / MANIFEST_FILE), read_transform(model_dir)
    destination.check(content["name"], retry_for_s=retry_for_s)
    network = load_network(model_dir / WEIGHTS_FILE)
    with tempfile.TemporaryDirectory() as folder:
        made, manifest = Path(folder) / COMPILED_FILE, Path(folder) / MANIFEST_FILE
        try:
            compile_network(network, transform.crop, made)
            print(f"compiled for this processor: {_check(made, images, model_dir)}", flush=True)
        except CompiledError as error:
            raise ModelkitError(str(error)) from None
        write_json(manifest, rewritten(content, [made]))
        destination.put([made, manifest], retry_for_s)


def _check(compiled: Path, images: Path, model_dir: Path) -> Parity:
    """Compare with the committed answers, all images at once too; raises ParityError if they differ."""
    network, transform = load_compiled(compiled), read_transform(model_dir)
    answers = read_expected(images)
    inputs = [reference_input(decode(answer.content, answer.file), transform) for answer in answers]
    tensors = [torch.from_numpy(np.ascontiguousarray(one)) for one in inputs]
    names, expected = [answer.file for answer in answers], np.stack([answer.logits for answer in answers])
    tolerance = read_tolerance(model_dir)
    with torch.inference_mode():
        compare(names, expected, network(torch.cat(tensors))[0].numpy(), tolerance)
        alone = torch.cat([network(tensor)[0] for tensor in tensors]).numpy()
    return compare(names, expected, alone, tolerance)
