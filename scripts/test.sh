#!/usr/bin/env bash
# Environment, the three small models that the tests read, lint, then the fast suite. What is there already is skipped.
#
#     scripts/test.sh                       # the fast suite
#     scripts/test.sh -m slow               # the tests marked slow, which .ci/run runs too; -m "" is both
#     scripts/test.sh tests/test_loop.py    # arguments go to pytest, which runs two files at a time (-n 0: one)
#
# The live comparison with Hugging Face transformers is apart: .ci/run installs it and runs tests/parity.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(scripts/setup_env.sh)
"$python" -m reasoning.weights.catalogue smollm2-135m-instruct qwen2.5-coder-0.5b-instruct gemma3-270m >/dev/null

"$python" -m ruff check
"$python" -m ruff format --check
"$python" -m pytest -q -n 2 --dist loadfile -m "not slow" "$@"
