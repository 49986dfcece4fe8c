#!/bin/sh
# Runs what failed once more, by itself: sh tools/once_more.sh PYTHON STATUS [WORDS], after a run of pytest that ended with
# STATUS and was given WORDS, such as which tests.
#
# What fails again has failed. What passes by itself is named, and the status is 0. More than MOST_FILES files are a
# fault of the change or of the machine, and are not run again. docs/decisions/0019 says why.
set -eu
python=$1 status=$2
shift 2
MOST_FILES=${MOST_FILES:-3}

# 1 is "tests failed": an interrupt, a wrong option or a broken import is no test's failure
[ "$status" = 1 ] || exit "$status"
failed=$("$python" -c '
import json, pathlib
file = pathlib.Path(".pytest_cache/v/cache/lastfailed")
print("\n".join(sorted(json.loads(file.read_text()))) if file.exists() else "")')
[ -n "$failed" ] || exit "$status"
files=$(printf '%s\n' "$failed" | sed 's/::.*//' | sort -u | wc -l)
if [ "$files" -gt "$MOST_FILES" ]; then
  echo "once more: tests of $files files failed, which is more than $MOST_FILES: none is run again" >&2
  exit "$status"
fi
echo "once more: these failed, and now run by themselves:" >&2
printf '%s\n' "$failed" | sed 's/^/  /' >&2
"$python" -m pytest "$@" -n 0 --last-failed --last-failed-no-failures none || {
  echo 'once more: failed again' >&2
  exit "$status"
}
echo "once more: UNSTABLE, each failed beside other tests and passed by itself; mend it:" >&2
printf '%s\n' "$failed" | sed 's/^/  /' >&2
