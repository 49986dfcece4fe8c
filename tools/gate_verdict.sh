#!/bin/sh
# gate_verdict.sh CODE: pass or fail a build by the exit code of `bench gate`. Passes on 0 and 5, fails on all others.
#
# It prints the meaning in one line. On GitHub that line becomes an annotation.
set -eu
code=${1:-}
# what is no number would be a line of its own, which GitHub may take for a command
case $code in *[!0-9]*) code=nothing ;; esac
say() {
  if [ "${GITHUB_ACTIONS:-}" = true ]; then echo "::$1 title=bench gate::$2"; else echo "gate: $1: $2"; fi
}
case $code in
  0) say notice 'pass: no rule of gate.toml is broken' ;;
  # noise is no author's fault: a team soon switches off a gate that fails because of noise
  5) say warning 'inconclusive: a change that matters is neither shown nor excluded; the report says how many rounds would' ;;
  3) say error 'regression: a rule of gate.toml is broken; the report says which and by how much'; exit 3 ;;
  4) say error 'invalid: the measurement is not valid, so nothing is judged; the report or the log says why'; exit 4 ;;
  2) say error 'usage: the command line, gate.toml or a file that they name is wrong; the log says which line'; exit 2 ;;
  1) say error 'the harness failed; the log says why'; exit 1 ;;
  *) say error "no verdict: the gate ended with ${code:-nothing}"; exit 1 ;;
esac
