#!/usr/bin/env bash
# wheels.sh FOLDER LOCK...: fetch the packages pinned in the locks into FOLDER, which is then a WHEELS_DIR.
#
# For this Python and platform, so run it with the images' Python. PyTorch comes from the index that the images of
# compose.yaml take it from. What cannot be had is left out: whoever installs asks the index for it then.
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
index=$(docker compose config --format json |
  python -c 'import json, sys; print(json.load(sys.stdin)["services"]["torch_serving"]["build"]["args"]["TORCH_INDEX"])')
fetch() { python -m pip --disable-pip-version-check download --quiet --no-deps --dest "$folder" "$@"; }
for lock in "$@"; do
  torch=$(grep '^torch==' "$lock" || true)
  if [ -n "$torch" ]; then
    fetch --index-url "$index" "$torch" || echo "wheels: no $torch on the index of PyTorch" >&2
  fi
  grep -vE '^(torch==|#)' "$lock" | fetch -r /dev/stdin || echo "wheels: not all of $lock" >&2
done
