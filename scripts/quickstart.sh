#!/usr/bin/env bash
# From nothing to a graded answer: environment, open weights, then the main job on the CPU or whatever accelerator JAX finds.
# May be started again at any time: what is installed, downloaded or already graded is kept.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'HELP'
usage: scripts/quickstart.sh [--model NAME] [arguments of scripts/compare.py …]

Grades an open model on arithmetic problems with direct answers, chain of thought and majority voting, and ends with the
accuracy and the cost of each: a page that works offline, tables, pictures and TensorBoard logs, in a directory under runs/.

  --model NAME    catalogue name (third_party/manifest.toml), hub model "hf:org/name@revision", directory or GGUF file;
                  default qwen2.5-coder-0.5b-instruct
  anything else   goes to scripts/compare.py, for example --config.task.size=20 or --workdir runs/mine

Environment: PYTHON, REASONING_VENV (scripts/setup_env.sh), REASONING_CACHE (downloads and compiled programs,
default ~/.cache/reasoning).
HELP
}

model=qwen2.5-coder-0.5b-instruct
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --model=*) model=${1#*=} ;;
    --model)
      [ $# -gt 1 ] || { echo "error: --model needs a name; see scripts/quickstart.sh --help" >&2; exit 2; }
      model=$2
      shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

python=$("$root/scripts/setup_env.sh")
case $model in
  hf:* | */* | *.gguf) ;;  # not of the catalogue: compare.py loads it
  *) "$python" -m reasoning.weights.catalogue "$model" >/dev/null ;;
esac
"$python" "$root/scripts/compare.py" --config="$root/configs/quickstart.py" --config.model="$model" \
  ${arguments[@]+"${arguments[@]}"}
