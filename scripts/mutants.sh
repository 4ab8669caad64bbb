#!/usr/bin/env bash
# Shows that the fast suite would notice small faults in the engine: each fault of tests/mutants/faults.toml, one at a time.
# Usage: scripts/mutants.sh [WORD …]   words choose faults by name. Takes about a minute a fault on two cores.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(scripts/setup_env.sh)
exec "$python" tests/mutants/run.py "$@"
