#!/usr/bin/env bash
# What a GPU or TPU has to show: the loop's laws on that device, and decode speed on random weights of real shapes.
# Usage: scripts/gpu_check.sh [SECONDS_FOR_TESTS]   needs jax for the device, flax, pytest and scipy; no model is fetched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python3 -c 'import jax; print(jax.__version__, jax.devices())'
timeout "${1:-300}" python3 -m pytest -q -x tests/test_loop.py tests/test_engine.py tests/test_standard_chain.py || echo "tests: FAILED or out of time"
python3 scripts/bench.py --random 1.5b --slots 1 --slots 32 --slots 128 --slots 256
