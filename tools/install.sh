#!/bin/sh
# install.sh [--slim] [--torch-only] LOCK VENV [WHEELS]: install the packages that LOCK pins into the virtual environment
# VENV, which is created if it is missing. With --torch-only install PyTorch alone: images keep it in a layer of its own.
# With --slim, which images of services take, remove in the end what unused.txt beside this script lists.
#
# pip takes a file only if the lock has its hash, wherever the file comes from. The lock has the hashes of PyTorch's
# builds on the general index, and of those builds for CPUs that were at hand when it was made. If PyTorch's own index has
# another build that you want, say for another Python, TORCH_UNCHECKED=1 takes it from an index without a hash.
#
# The folder WHEELS is used first, so that a machine without an index can install. For PyTorch, its own index comes next,
# whose builds for CPUs are small. If that does not answer in time, the general index follows, whose build for Linux needs
# CUDA's packages and computes without a GPU too. If TORCH_INDEX is set, only that index is used instead of these two;
# TORCH_INDEX=general is the general index.
set -eu
# otherwise Python would leave bytecode of its own library in an image's layer
export PYTHONDONTWRITEBYTECODE=1
slim= only=
[ "$1" = --slim ] && slim=yes && shift
[ "$1" = --torch-only ] && only=yes && shift
lock=$1 venv=$2 wheels=${3:-}
cpu_index=https://download.pytorch.org/whl/cpu
answers_within_s=10
of_cuda='^(nvidia-|cuda-|triton([^a-z]|$))'

[ -x "$venv/bin/python" ] || python -m venv --without-pip "$venv"
install() {
  python -m pip --disable-pip-version-check --python "$venv/bin/python" \
    install --quiet --root-user-action ignore --no-deps --retries 1 --timeout 30 "$@"
}
from_wheels() { [ -n "$wheels" ] && install --no-index --find-links "$wheels" "$@" 2>/dev/null; }
have_wheel() { [ -n "$wheels" ] && ls "$wheels"/$1 >/dev/null 2>&1; }
fail() { echo "$*" >&2; exit 1; }

# an alarm survives exec, and ends every wait: for a name, a connection or an answer
cpu_index_answers() {
  python -c 'import os, signal, sys; signal.alarm(int(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])' \
    "$answers_within_s" python -m pip --disable-pip-version-check index versions \
    --index-url "$cpu_index" --retries 0 --timeout "$answers_within_s" torch >/dev/null 2>&1
}
from_cpu_index() {
  cpu_index_answers && from_index --index-url "$cpu_index" --retries 0 --timeout "$answers_within_s" 2>/dev/null
}
from_general_index() {
  echo "install.sh: no build of $torch for CPUs with a hash of the lock, neither in a folder of wheels nor at $cpu_index:" \
    "fetching the general index's build, with CUDA 2.7 GB to fetch and 4.8 GB on disk;" \
    "to avoid it set WHEELS_DIR to a folder that holds the wheel for CPUs, or TORCH_INDEX to an index that has it," \
    "or TORCH_UNCHECKED=1 to take a build whose hash the lock does not have" >&2
  from_index
}
in_venv() { "$venv/bin/python" -c "import importlib.metadata as m; $1" 2>/dev/null; }

pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
from_index() {
  if [ -n "${TORCH_UNCHECKED:-}" ]; then install "$@" "$torch"; else install "$@" -r "$pins"; fi
}

grep '^torch==' "$lock" >"$pins" || true
torch=$(cut -d ' ' -f 1 "$pins")
version=${torch#torch==}
if [ -n "$torch" ] && [ "$(in_venv 'print(m.version("torch").partition("+")[0])')" != "$version" ]; then
  # a wheel of this version may be for another Python or another platform
  { have_wheel "torch-$version*.whl" && from_wheels -r "$pins"; } ||
    case ${TORCH_INDEX:-} in
      '') from_cpu_index || from_general_index ;;
      general) from_index ;;
      *) from_index --index-url "$TORCH_INDEX" ;;
    esac ||
    fail "no build of $torch: set WHEELS_DIR to a folder that holds its wheel, or TORCH_INDEX to an index that has it;" \
      "TORCH_UNCHECKED=1 takes a build whose hash the lock does not have"
fi

install_pins() {
  { have_wheel '*.whl' && from_wheels -r "$pins"; } || install -r "$pins" ||
    fail "could not install the packages of $1: set PIP_INDEX_URL to an index that answers, or WHEELS_DIR to a folder of wheels"
}
# the metadata of a build says whether it needs CUDA's packages
if [ -n "$torch" ] && in_venv 'print(*(m.requires("torch") or []), sep="\n")' | grep -qE "$of_cuda"; then
  cuda_lock=$(dirname "$lock")/torch-cuda.txt
  grep -E "$of_cuda" "$cuda_lock" >"$pins"
  install_pins "$cuda_lock"
fi
if [ -z "$only" ]; then
  grep -vE "^(torch==|#)|$of_cuda" "$lock" >"$pins"
  install_pins "$lock"
fi
if [ -n "$slim" ]; then
  here=$(dirname "$0")
  "$venv/bin/python" -S "$here/slim.py" "$venv" "$here/unused.txt"
fi
