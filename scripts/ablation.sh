#!/usr/bin/env bash
# Which traces help? A small model fine-tuned on 1,000 curated, random and longest traces, at equal examples and at equal tokens,
# several seeds each, and asked held-out problems of every family (s1, arXiv 2501.19393, section 5.1). The sets are drawn once;
# one more, "kept", is curated where length may not choose failed attempts (configs/curate.py:keep=tries).
# Can be stopped and started again; what is evaluated is not asked for again, and its checkpoints (3 GB) go. On one core some 60
# minutes a training, 25 with LEVEL=short and bfloat16, and there are 15; where equal tokens are as many steps as equal examples,
# they are the same run.
#
#     scripts/ablation.sh                                       # everything, in runs/ablation
#     LEVEL=short scripts/ablation.sh                           # two families, short traces: runs/ablation-short
#     SEEDS="0" SETS="curated random" scripts/ablation.sh       # part of it
#     SETS="curated kept kept-tokens" scripts/ablation.sh       # and a set that is not asked for by default
#     TRAIN="--config.step.compute_dtype=bfloat16" scripts/ablation.sh    # flags of scripts/train_sft.py; EVALUATE: of evaluate.py
#
# Environment: LEVEL (full), OUT, SEEDS (0 1 2), SETS, FAMILIES, PROBLEMS (200), EPOCHS (1), EXAMPLES a step (8)
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

LEVEL=${LEVEL:-full} SEEDS=${SEEDS:-0 1 2} SETS=${SETS:-curated random longest random-tokens longest-tokens}
case $LEVEL in full) name=ablation rest="countdown knights_knaves" ;; *) name=ablation-$LEVEL rest="" ;; esac
OUT=${OUT:-runs/$name} FAMILIES=${FAMILIES:-chain_sum simple_equations $rest}
PROBLEMS=${PROBLEMS:-200} EPOCHS=${EPOCHS:-1} EXAMPLES=${EXAMPLES:-8}
python=$(scripts/setup_env.sh)
case " $SETS " in *" curated "*) ;; *) echo "SETS must hold curated, which all others are compared with" >&2; exit 2 ;; esac

# A script that is finished returns at once, and refuses a directory of other settings.
run() {
  "$python" "scripts/$1.py" --config "configs/$2" --workdir "$3" "${@:4}" >>"$OUT/log" 2>&1 ||
    { tail -n 1 "$OUT/log" >&2; echo "$1 stopped at $3: see $OUT/log" >&2; exit 1; }
}
evaluated() { local family; for family in $FAMILIES; do [ -e "$1-$family/report/table.md" ] || return 1; done; }
trained() { [ -d "$1/model" ] || evaluated "$1" || { echo "training of $1 was stopped; start again" >&2; exit 1; }; }
# Whether a run of these metrics, given so many tokens, would have taken all of its steps and no more.
same_steps() {
  "$python" -c 'import json, sys; tokens = [json.loads(line)["tokens"] for line in open(sys.argv[1])]
sys.exit(not sum(tokens[:-1]) < int(sys.argv[2]) <= sum(tokens))' "$@"
}
drawn() { case $1 in kept*) echo "$OUT/kept/curated.jsonl" ;; *) echo "$OUT/curated/${1%-tokens}.jsonl" ;; esac; }
spent() { "$python" -c 'import json, sys; print(int(sum(json.loads(line)["tokens"] for line in open(sys.argv[1]))))' "$1"; }

mkdir -p "$OUT"
settings="PROBLEMS=$PROBLEMS EPOCHS=$EPOCHS EXAMPLES=$EXAMPLES TRAIN='${TRAIN:-}' EVALUATE='${EVALUATE:-}'"
if [ ! -e "$OUT/settings" ]; then
  ! compgen -G "$OUT/*-[0-9]*" >/dev/null || { echo "$OUT has runs, but no file that says how they were made; name another OUT" >&2; exit 2; }
  echo "$settings" >"$OUT/settings"
fi
[ "$settings" = "$(cat "$OUT/settings")" ] || { echo "$OUT was made with $(cat "$OUT/settings"); name another OUT" >&2; exit 2; }
[ -e "$OUT/pool.jsonl" ] || "$python" scripts/generate_traces.py --config "configs/traces.py:level=$LEVEL" --output "$OUT/pool.jsonl"
pool=level=$LEVEL,pool=$OUT/pool.jsonl,difficulty=false
run curate "curate.py:$pool" "$OUT/curated"
case " $SETS" in *" kept"*) run curate "curate.py:$pool,keep=tries" "$OUT/kept" ;; esac

for seed in $SEEDS; do
  for set in $SETS; do
    of=$OUT/$set-$seed equal=$OUT/${set%-tokens}-$seed
    long=epochs=$EPOCHS
    ! evaluated "$of" || continue
    case $set in *-tokens)  # as many as the curated run of this seed took
      trained "$OUT/curated-$seed"
      tokens=$(spent "$OUT/curated-$seed/metrics.jsonl") long=tokens=$tokens
      if evaluated "$equal" && same_steps "$equal/metrics.jsonl" "$tokens"; then
        for one in "" $FAMILIES; do
          rm -rf "$of${one:+-$one}"  # begun before its twin was evaluated
          ln -s "$(basename "$equal")${one:+-$one}" "$of${one:+-$one}"
        done
        continue
      fi ;;
    esac
    [ -d "$of/model" ] || run train_sft "sft.py:traces=$(drawn "$set"),seed=$seed,$long" "$of" \
      --config.batches.examples="$EXAMPLES" --config.batches.rows=1 --config.evaluation.every=0 ${TRAIN:-}  # rows of a CPU
    trained "$of"
    for family in $FAMILIES; do
      run evaluate "sft_evaluation.py:level=$LEVEL,family=$family,n=$PROBLEMS,curve=false,model=$of/model" "$of-$family" ${EVALUATE:-}
    done
    rm -rf "$of/checkpoints"
  done
  echo "seed $seed is done"
done

{ echo "Seeds $SEEDS, at $(git rev-parse --short HEAD 2>/dev/null || echo "no commit")"; for family in $FAMILIES; do
  for set in $SETS; do
    [ "$set" = curated ] && continue
    sides=()
    for seed in $SEEDS; do sides+=(--a "$OUT/curated-$seed-$family" --b "$OUT/$set-$seed-$family"); done
    printf '\n%s: curated − %s\n\n' "$family" "$set"
    "$python" scripts/contrast.py --label free "${sides[@]}"
  done
done; } | tee "$OUT/contrasts.txt"
