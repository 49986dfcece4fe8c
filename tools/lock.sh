#!/usr/bin/env bash
# Regenerate locks/*.txt from pyproject.toml. They pin every package and all its dependencies, so installs use --no-deps.
#
# PyTorch's CPU and CUDA builds share a version but need different packages. So the locks name only the version and leave
# out CUDA's packages, which torch-cuda.txt holds, for the general index's CUDA build.
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
