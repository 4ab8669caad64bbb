#!/usr/bin/env bash
# Makes the virtual environment that quickstart.sh and test.sh share, and installs this project into it with the versions
# pinned in constraints/. What is there already is skipped. Progress goes to stderr; stdout has one line, the environment's
# Python:
#
#     python=$(scripts/setup_env.sh)            # the project with its test extra
#     python=$(scripts/setup_env.sh cuda13)     # and more extras of setup.cfg, comma-separated
#
# Environment: PYTHON           interpreter to build with (default: the first Python of a supported version that is found)
#              REASONING_VENV   where the environment lives (default: .venv in the repository)
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${REASONING_VENV:-$root/.venv}
extras=test${1:+,$1}

say() { printf '[setup] %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

find_python() {
  local candidate newest=
  if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" || die "PYTHON=$PYTHON does not run or is older than Python 3.11; point PYTHON at a newer one"
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python python3.13 python3.12 python3.11; do
    new_enough "$candidate" || continue
    newest=$candidate
    # The versions that were tested come first.
    if [ -f "$root/constraints/constraints-$(version_of "$candidate").txt" ]; then break; fi
  done
  [ -n "$newest" ] || die "no Python 3.11 or newer on PATH; install one, or name it: PYTHON=/path/to/python3.12 $0"
  echo "$newest"
}

python=$venv/bin/python
if ! "$python" -c 'import pip' 2>/dev/null; then  # absent, or left half-made by an interrupted run
  base=$(find_python)
  say "making $venv with $("$base" -V)"
  "$base" -m venv "$venv" >&2 ||
    die "$base cannot make $venv; on Debian and Ubuntu install python3-venv; remove what is left of $venv and start again"
fi
new_enough "$python" || die "$python is older than Python 3.11; remove $venv and start again"

constraints=()
IFS=, read -ra names <<<"$(version_of "$python"),$extras"
for name in "${names[@]}"; do
  file=$root/constraints/constraints-$name.txt
  if [ -f "$file" ]; then constraints+=(--constraint "$file"); fi
done

# The stamp names what is installed. Each set of extras has its own: test.sh and quickstart.sh never undo a parity or GPU set-up.
stamp=$venv/.installed-${extras//,/-}
wanted=$({ echo "$root $extras ${constraints[*]:-}"; cat "$root"/setup.cfg "$root"/pyproject.toml "$root"/constraints/*; } |
  "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  log=$venv/install.log
  [ ${#constraints[@]} -gt 0 ] || say "no constraints for this Python: taking the newest versions that setup.cfg allows"
  say "installing reasoning[$extras] with $("$python" -V); the first time downloads about 300 MB, more for parity and accelerators"
  # The slow parts are worth a line each, the rest is in $venv/install.log.
  "$python" -m pip install --progress-bar off --disable-pip-version-check ${constraints[@]+"${constraints[@]}"} \
    --editable "${root}[$extras]" 2>&1 | tee "$log" |
    awk '/(Downloading|Using cached) .* [0-9.]+ MB\)/ { sub(/^ */, ""); print "[setup]   " $0; fflush() }
         /^Installing collected/ { print "[setup]   unpacking " NF - 3 " packages"; fflush() }' >&2 || {
    tail -n 15 "$log" >&2
    # pycosat, which reasoning-gym needs, has no wheels.
    command -v cc >/dev/null || say "there is no C compiler here and one dependency has to be compiled: install gcc"
    die "pip could not install reasoning[$extras]; the reason stands above and in $log"
  }
  echo "$wanted" >"$stamp"
  say "installed in $SECONDS s"
fi
echo "$python"
