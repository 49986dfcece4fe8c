"""python -m examples.wine.make: fit a random forest with scikit-learn and write it with skl2onnx."""

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.output_folder import output_folder

SEED = 3


def make(folder: Path) -> Path:
    """Write wine.onnx, and test.npz with wines that were left out, into the folder; return the former."""
    measured, kind = load_wine(return_X_y=True)
    train, test, train_kind, _ = train_test_split(measured.astype(np.float32), kind, random_state=SEED)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(100, random_state=SEED))
    forest.fit(train, train_kind)
    # without zipmap the probabilities are a tensor, with it a list of maps, which nothing here serves
    graph = to_onnx(forest, train[:1], options={"zipmap": False}, target_opset=18)
    (folder / "wine.onnx").write_bytes(graph.SerializeToString())
    np.savez(folder / "test.npz", X=test)
    return folder / "wine.onnx"


if __name__ == "__main__":
    print(f"wrote {make(output_folder('wine', __doc__))} and test.npz")
