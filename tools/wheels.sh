#!/usr/bin/env bash
# wheels.sh FOLDER LOCK...: download the packages that the locks pin into FOLDER, for use as a WHEELS_DIR.
#
# The wheels are for this Python and platform, so run it with the images' Python. PyTorch comes from its own index, or
# from TORCH_INDEX if that is set. A file whose hash the lock does not have, and a package that cannot be downloaded, are
# left out: install.sh gets them elsewhere.
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
fetch() { python -m pip --disable-pip-version-check download --quiet --no-deps --dest "$folder" "$@"; }
for lock in "$@"; do
  if grep -q '^torch==' "$lock"; then
    from=(--index-url "$index")
    [ "$index" = general ] && from=()
    grep '^torch==' "$lock" | fetch "${from[@]}" -r /dev/stdin ||
      echo "wheels: no $(grep -o '^torch==[^ ]*' "$lock") with a hash of $lock at $index" >&2
  fi
  grep -vE '^(torch==|#)' "$lock" | fetch -r /dev/stdin || echo "wheels: not all of $lock" >&2
done
