#!/usr/bin/env bash
# Regenerate locks/*.txt from pyproject.toml. They pin every package and all its dependencies, so installs use --no-deps,
# and hold the hash of every file of each, so that nothing else is ever installed.
#
# PyTorch's CPU and CUDA builds share a version but need different packages. So the locks name only the version and leave
# out CUDA's packages, which torch-cuda.txt holds, for the general index's CUDA build. PyTorch's own index lists no hashes
# that uv reads: those of its wheels for CPUs come from the wheels in WHEELS_DIR. install.sh says what follows for others.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
  "$uv" pip compile "$@" --universal --python-version 3.11 --quiet --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate
}
# one package on each line, with its hashes
joined() { sed -e ':again' -e '/\\$/N; s/ *\\\n */ /; t again'; }
cpu_wheels() { for wheel in "${WHEELS_DIR:-wheels}"/torch-"$1"*.whl; do [ -f "$wheel" ] && sha256sum "$wheel"; done | sed -E 's/^([0-9a-f]+).*/ --hash=sha256:\1/'; }
# what reports to OpenVINO's maker as OpenVINO is imported, if it is there
reports='^openvino-telemetry=='
for extra in torch torch-cuda onnx onnx-simd openvino publisher modelkit store mosec maturin bench dev; do
  of_cuda='^(nvidia-|cuda-|triton==)'
  [ "$extra" = torch-cuda ] && of_cuda='^$'
  compile pyproject.toml --extra "$extra" --upgrade | joined | grep -vE "$of_cuda|$reports" | sort -u >"locks/$extra.txt.new"
  version=$(sed -nE 's/^torch==([0-9.]+).*/\1/p' "locks/$extra.txt.new")
  [ -z "$version" ] || sed -i -E "s/^(torch==[0-9.]+)[^ ]*( .*)/\1\2$(cpu_wheels "$version" | tr -d '\n')/" "locks/$extra.txt.new"
  { echo "# pinned for pyproject.toml's extra '$extra'; made by: make lock"; cat "locks/$extra.txt.new"; } >"locks/$extra.txt"
  rm "locks/$extra.txt.new"
done
