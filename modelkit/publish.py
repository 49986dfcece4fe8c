"""Publication: optimise for this host, check the answers, and put the model where services fetch it."""

import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from modelkit import ModelkitError
from modelkit.agreement import check_agreement
from modelkit.destination import RETRY_FOR_S, Destination
from modelkit.graph import check_graph, check_network, open_graph, optimise
from modelkit.manifest import (
    GRAPH_FILE,
    GRAPH_WEIGHTS_KEY,
    INT8_FILE,
    MANIFEST_FILE,
    NETWORK_FILE,
    PLAIN_FILE,
    WEIGHTS_FILE,
    file_entry,
    network_beside,
    quantised_beside,
    read_json,
    rewritten,
    write_json,
)


def publish(
    model_dir: Path, images: Path, graph: Path | None, to: str, retry_for_s: float = RETRY_FOR_S
) -> None:
    """Optimise the graph for this host, check it against the image set, write the model's files there.

    The network alone, which the export writes beside the graph, is published too: optimised, as it is, and in
    int8. If one of these is missing, all are exported anew. The manifest is written last: if it exists, the
    other files exist. Raises ModelkitError, one line with the remedy.
    """
    destination = Destination.parse(to)
    weights, content = model_dir / WEIGHTS_FILE, read_json(model_dir / MANIFEST_FILE)
    destination.check(content["name"], retry_for_s=retry_for_s)
    _check_weights(weights, content)
    with tempfile.TemporaryDirectory() as folder:
        optimised, network, plain, quantised, manifest = (
            Path(folder) / name for name in (GRAPH_FILE, NETWORK_FILE, PLAIN_FILE, INT8_FILE, MANIFEST_FILE)
        )
        graph = graph or Path(folder) / "exported.onnx"
        alone, in_int8 = network_beside(graph), quantised_beside(graph)
        exported = (graph, alone, in_int8)
        if missing := [file for file in exported if not file.exists()]:
            _export(model_dir, images, graph, f"{missing[0]} does not exist")
        elif stale := [file for file in exported if _is_stale(file, weights)]:
            _export(model_dir, images, graph, f"{stale[0]} was exported from other weights")
        optimise(graph, optimised)
        print(f"optimised for this host: {check_graph(optimised, images, model_dir)}", flush=True)
        optimise(alone, network)
        print(f"its network alone: {check_network(network, images, model_dir)}", flush=True)
        plain.write_bytes(alone.read_bytes())
        optimise(in_int8, quantised)
        print(f"its network in int8: {check_agreement(quantised, images, model_dir)}", flush=True)
        files = [weights, optimised, network, plain, quantised]
        write_json(manifest, rewritten(content, files))
        destination.put([*files, manifest], retry_for_s)


def _is_stale(graph: Path, weights: Path) -> bool:
    """Tell whether the graph says that it was exported from other weights than these."""
    stated = open_graph(graph).get_modelmeta().custom_metadata_map.get(GRAPH_WEIGHTS_KEY)
    return stated is not None and stated != file_entry(weights)["sha256"]


def _export(model_dir: Path, images: Path, graph: Path, why: str) -> None:
    if find_spec("torch") is None:
        problem = f"{why} and there is no PyTorch here to export it"
        raise ModelkitError(f"{problem}: run python -m modelkit export --output {graph} where PyTorch is")
    from modelkit.export import export

    export(model_dir, images, graph)


def _check_weights(weights: Path, manifest: Mapping[str, Mapping[str, object]]) -> None:
    if not weights.is_file():
        raise ModelkitError(f"{weights} does not exist: train first, python -m modelkit train")
    if manifest.get("files", {}).get(WEIGHTS_FILE) != file_entry(weights):
        raise ModelkitError(f"{weights} is not the file that its manifest describes: restore or retrain both")
