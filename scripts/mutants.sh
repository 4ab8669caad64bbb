#!/usr/bin/env bash
# Shows that the fast suite would notice small faults in the engine: each fault of tests/mutants/faults.toml, one at a time.
# Usage: scripts/mutants.sh [WORD …]   words choose faults by name. Takes about a minute a fault on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(scripts/setup_env.sh)
exec "$python" tests/mutants/run.py "$@"
