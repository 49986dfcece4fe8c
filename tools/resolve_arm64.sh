#!/usr/bin/env bash
# resolve_arm64.sh [LOCK...]: show that what the locks pin exists for Linux on arm64, with a hash that the lock has.
#
# Without LOCK it takes all locks that images are built from, and the harness's. pip downloads each package's wheel for
# Python 3.11 on manylinux_2_28_aarch64 into a folder that is removed afterwards: some 200 MB. A package without such a
# wheel, and a wheel whose hash the lock does not have, end it with 1. PyTorch is left out, being large: WITH_TORCH=1 takes
# it too, as the general index has it. That build is the one for CUDA. The lock has no hash of a build for CPUs on arm64.
# onnx-simd.txt is not among them: of cykooz-resizer there is no wheel for Linux on arm64.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x "$python" ] || python=python3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
left_out='^(#|nvidia-|cuda-|triton==)'
[ -n "${WITH_TORCH:-}" ] || left_out='^(#|nvidia-|cuda-|triton==|torch==)'
[ $# -gt 0 ] || set -- locks/{bench,maturin,modelkit,mosec,onnx,publisher,store,torch}.txt
failed=
for lock in "$@"; do
  grep -vE "$left_out" "$lock" >"$folder/pins.txt"
  if "$python" -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes --only-binary=:all: \
    --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 --python-version 3.11 --implementation cp \
    --abi cp311 --abi abi3 --abi none --dest "$folder/wheels" -r "$folder/pins.txt"; then
    echo "$lock: $(wc -l <"$folder/pins.txt") packages, each with a wheel for arm64 of a hash that the lock has"
  else
    echo "$lock: not all packages have a wheel for arm64 of a hash that the lock has" >&2
    failed=yes
  fi
done
[ -z "$failed" ]
