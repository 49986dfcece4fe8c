#!/bin/sh
# install.sh LOCK VENV [WHEELS]: put the packages pinned in LOCK into the virtual environment VENV, made where missing.
#
# The folder WHEELS is asked first, so that a machine without an index can install. PyTorch comes from there or from
# TORCH_INDEX (CPU builds) and never from the general index, whose Linux build carries gigabytes of CUDA, unless that is
# asked for: TORCH_INDEX=general.
set -eu
lock=$1 venv=$2 wheels=${3:-}
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

[ -x "$venv/bin/python" ] || python -m venv --without-pip "$venv"
install() {
  python -m pip --disable-pip-version-check --python "$venv/bin/python" \
    install --quiet --root-user-action ignore --no-deps --retries 1 --timeout 30 "$@"
}
have_wheel() { [ -n "$wheels" ] && ls "$wheels"/$1 >/dev/null 2>&1; }
fail() { echo "$*" >&2; exit 1; }

torch=$(grep '^torch==' "$lock" || true)
if [ -n "$torch" ]; then
  version=${torch#torch==}
  # a wheel may be there and yet be another Python's or another platform's
  { have_wheel "torch-$version*.whl" && install --no-index --find-links "$wheels" "$torch" 2>/dev/null; } ||
    if [ "$torch_index" = general ]; then install "$torch"; else install --index-url "$torch_index" "$torch"; fi ||
    fail "no build of $torch: set WHEELS_DIR to a folder that holds its wheel, or TORCH_INDEX to an index that has it"
fi

rest=$(mktemp)
trap 'rm -f "$rest"' EXIT
grep -vE '^(torch==|#)' "$lock" >"$rest"
have_wheel '*.whl' && install --no-index --find-links "$wheels" -r "$rest" 2>/dev/null && exit 0
install -r "$rest" ||
  fail "could not install the packages of $lock: set PIP_INDEX_URL to an index that answers, or WHEELS_DIR to a folder of wheels"
