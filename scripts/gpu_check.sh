#!/usr/bin/env bash
# What a GPU or TPU has to show: kernels, command buffers, top-k, memory, decode speed, training MFU, and the loop's laws.
# Runs on any device that JAX finds, a CPU too. What to look at: docs/performance.md.
# Usage: scripts/gpu_check.sh [SECONDS_FOR_TESTS]   needs jax for the device, flax, optax, pytest and scipy; fetches no model.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python=${PYTHON:-python3}
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

dump=$(mktemp -d)
trap 'rm -rf "$dump"' EXIT
XLA_FLAGS="${XLA_FLAGS:-} --xla_dump_to=$dump --xla_dump_hlo_module_re=.*decode.*" "$python" -m reasoning.bench.device

echo
timeout "${1:-300}" "$python" -m pytest -q -x tests/test_loop.py tests/test_engine.py tests/test_standard_chain.py ||
  echo "tests: FAILED or out of time"
