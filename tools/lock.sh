#!/usr/bin/env bash
# Regenerate locks/*.txt from pyproject.toml: every package pinned with all it needs, so that installs use --no-deps.
#
# PyTorch's CPU and CUDA builds share one version and differ in what they need; the locks name the version alone and
# leave out CUDA's packages, for which torch-cuda.txt is there. It suits the CUDA build of the general index.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
for extra in torch torch-cuda onnx publisher modelkit store mosec bench dev; do
  of_cuda='^(nvidia-|cuda-|triton==)'
  [ "$extra" = torch-cuda ] && of_cuda='^$'
  "$uv" pip compile pyproject.toml --extra "$extra" --universal --python-version 3.11 --quiet \
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade |
    grep -vE "$of_cuda" | sed -E 's/^torch==([0-9.]+).*/torch==\1/' | sort -u >"locks/$extra.txt.new"
  { echo "# pinned for pyproject.toml's extra '$extra'; made by: make lock"; cat "locks/$extra.txt.new"; } >"locks/$extra.txt"
  rm "locks/$extra.txt.new"
done
