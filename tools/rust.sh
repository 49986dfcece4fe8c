#!/bin/sh
# rust.sh [PYTHON]: check and test rust_serving, with ONNX Runtime's library from that Python's packages.
#
# Without cargo, or where cargo cannot fetch the packages of rust_serving/Cargo.lock, it says so in a line and ends well,
# because nothing else needs Rust; REQUIRE_RUST=1 makes that a failure.
set -eu
python=${1:-python3}
cd "$(dirname "$0")/../rust_serving"

without() {
  echo "rust_serving is not checked: $*" >&2
  [ "${REQUIRE_RUST:-}" = 1 ] && exit 1
  exit 0
}
command -v cargo >/dev/null || without 'cargo is not installed'
cargo fetch --quiet --locked || without 'cargo cannot fetch its packages, see above'

ORT_DYLIB_PATH=$("$python" -c 'import glob, importlib.util, os
folder = os.path.dirname(importlib.util.find_spec("onnxruntime").origin)
print(*glob.glob(folder + "/capi/libonnxruntime.so*"))')
export ORT_DYLIB_PATH ORT_DISABLE_TELEMETRY=1
# the extension of Python is for its stable interface, and compiled without an interpreter
export PYO3_NO_PYTHON=1
cargo fmt --all --check
cargo clippy --quiet --locked --workspace --all-targets -- --deny warnings
cargo test --quiet --locked --workspace
