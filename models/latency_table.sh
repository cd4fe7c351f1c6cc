#!/usr/bin/env bash
# Quality against latency: a model's scores as a stream, over modes, hops and look-aheads.
#
#   models/latency_table.sh MODEL SONGS REPORTS > table.md
#
# SONGS: folders with true stems, as for `bsmamba2 evaluate`. REPORTS: folder for the JSON report of each row, and table.csv with all
# of them; a row whose report is there already is not measured again, so an interrupted table goes on. Hops and look-aheads are
# rounded up to whole frames of the model, as the element does; the table says what they became.
#
# Environment, with the defaults:
#   MODES="carry rolling"  HOPS_MS="100 250 500 1000"  LOOKAHEADS_MS="0 100 250 500 1000 2000"
#   CONTEXT_MS=8000        left context in rolling mode, the element's default
#   BALANCE_DB=-6          the voice against the band in the scores
#   OPTIONS=""             more options of `bsmamba2 evaluate`, e.g. "--device cuda"
#   JOBS=1                 rows measured at once; the real-time factors then are those of a shared machine
#   GPUS=0                 with "--device cuda": GPUs over which the jobs are spread; 0: all jobs see all GPUs
#   BSMAMBA2=bsmamba2      the program
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
: "${MODES=carry rolling}" "${HOPS_MS=100 250 500 1000}" "${LOOKAHEADS_MS=0 100 250 500 1000 2000}"
: "${CONTEXT_MS=8000}" "${BALANCE_DB=-6}" "${OPTIONS=}" "${JOBS=1}" "${GPUS=0}" "${BSMAMBA2=bsmamba2}"
export model=$1 songs=$2 reports=$3 BALANCE_DB OPTIONS GPUS BSMAMBA2
mkdir -p "$reports"

# measure ROW: "offline", or the value of --stream. Writes the row's report, named like it with "-" for "=" and ",".
measure() {
  local report=$reports/${1//[=,]/-}.json stream=()
  [ -s "$report" ] && return
  echo "$1" >&2
  [ "$1" = offline ] || stream=(--stream "$1")
  [ "$GPUS" -eq 0 ] || export CUDA_VISIBLE_DEVICES=$((SLOT % GPUS))
  # shellcheck disable=SC2086  # OPTIONS is a list
  "$BSMAMBA2" evaluate --model "$model" --data "$songs" "--balance=$BALANCE_DB" $OPTIONS "${stream[@]}" --json "$report.part" >/dev/null
  mv "$report.part" "$report"
}
export -f measure

rows=(offline)
for mode in $MODES; do
  for hop in $HOPS_MS; do
    for lookahead in $LOOKAHEADS_MS; do
      row=mode=$mode,hop=$hop,lookahead=$lookahead
      [ "$mode" = carry ] || row+=,context=$CONTEXT_MS
      rows+=("$row")
    done
  done
done
printf '%s\n' "${rows[@]}" | xargs -P "$JOBS" --process-slot-var=SLOT -I '{}' bash -euc 'measure "$1"' measure '{}'

names=("${rows[@]//[=,]/-}")
python3 - "$BALANCE_DB" "$reports/table.csv" "${names[@]/#/$reports/}" <<'TABLE'
import csv, json, sys
balance, csv_path, paths = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
reports = [json.load(open(path + '.json')) for path in paths]
if len({report['model_sha256'] for report in reports}) > 1:
    sys.exit('latency_table: the reports are of different models; give an empty folder')
columns = ['mode', 'hop, ms', 'look-ahead, ms', 'delay, ms', f'vocals uSDR at {balance:g} dB', f'instrumental uSDR at {balance:g} dB',
           'real-time factor']
rows = []
for path, report in zip(paths, reports):
    score = next((b['mean'] for b in report['balances'] if b['balance_db'] == balance), None)
    if score is None:
        sys.exit(f'latency_table: {path}.json has no scores at {balance:g} dB; give an empty folder')
    stream = report.get('streaming')
    place = [stream['mode']] + [f"{stream[k]:.0f}" for k in ('hop_ms', 'lookahead_ms', 'delay_ms')] if stream else ['offline', '', '', '']
    rows.append(place + [f"{score[s]['uSDR']:.2f}" for s in ('vocals', 'instrumental')] + [f"{report['real_time_factor']:.3f}"])
with open(csv_path, 'w', newline='') as file:
    csv.writer(file).writerows([columns] + rows)
for line in [columns, ['---'] * len(columns)] + rows:
    print('| ' + ' | '.join(line) + ' |')
TABLE
