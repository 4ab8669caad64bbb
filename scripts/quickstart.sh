#!/usr/bin/env bash
# From nothing to a graded answer: environment, open weights, then the main job on the CPU or whatever accelerator JAX finds.
# May be started again at any time: what is installed, downloaded or already graded is kept.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'HELP'
usage: scripts/quickstart.sh [--model NAME] [--workdir DIRECTORY] [arguments of scripts/evaluate.py …]

Grades an open model on arithmetic problems with direct answers, chain of thought and majority voting at equal cost, and
prints where the table, the picture and the TensorBoard logs are.

  --model NAME         catalogue name (third_party/manifest.toml), hub model "hf:org/name@revision", directory or GGUF file;
                       default qwen2.5-coder-0.5b-instruct
  --workdir DIRECTORY  where results go; default runs/quickstart-NAME
  anything else        goes to scripts/evaluate.py, for example --config.task.size=20

Environment: PYTHON, REASONING_VENV (scripts/setup_env.sh), REASONING_CACHE (downloads and compiled programs,
default ~/.cache/reasoning).
HELP
}

model=qwen2.5-coder-0.5b-instruct
workdir=
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --model | --workdir)
      [ $# -gt 1 ] || { echo "error: $1 needs a value; see scripts/quickstart.sh --help" >&2; exit 2; }
      if [ "$1" = --model ]; then model=$2; else workdir=$2; fi
      shift 2 ;;
    --model=*) model=${1#*=}; shift ;;
    --workdir=*) workdir=${1#*=}; shift ;;
    *) arguments+=("$1"); shift ;;
  esac
done
workdir=${workdir:-$root/runs/quickstart-$(printf %s "$model" | tr -c 'A-Za-z0-9._-' '-')}

python=$("$root/scripts/setup_env.sh")
"$python" -m reasoning.weights.catalogue "$model"
"$python" "$root/scripts/evaluate.py" --config "$root/configs/quickstart.py" --config.model="$model" --workdir "$workdir" \
  ${arguments[@]+"${arguments[@]}"}
