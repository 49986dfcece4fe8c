#!/usr/bin/env bash
# wheels.sh FOLDER LOCK...: download the packages that the locks pin into FOLDER, for use as a WHEELS_DIR.
#
# The wheels are for this Python and platform, so run it with the images' Python. PyTorch comes from its own index, or
# from TORCH_INDEX if that is set. A package that cannot be downloaded is left out: install.sh gets it elsewhere.
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
fetch() { python -m pip --disable-pip-version-check download --quiet --no-deps --dest "$folder" "$@"; }
for lock in "$@"; do
  torch=$(grep '^torch==' "$lock" || true)
  if [ -n "$torch" ]; then
    if [ "$index" = general ]; then fetch "$torch"; else fetch --index-url "$index" "$torch"; fi ||
      echo "wheels: no $torch on the index of PyTorch" >&2
  fi
  grep -vE '^(torch==|#)' "$lock" | fetch -r /dev/stdin || echo "wheels: not all of $lock" >&2
done
