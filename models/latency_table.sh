#!/usr/bin/env bash
# Quality against latency: a Markdown table of a model's scores as a stream, over modes, hops and look-aheads.
#
#   models/latency_table.sh MODEL SONGS REPORTS > table.md
#
# SONGS: folders with true stems, as for `bsmamba2 evaluate`. REPORTS: folder for the JSON report of each row; a row whose report is
# there already is not measured again, so an interrupted table goes on.
#
# Environment, with the defaults:
#   MODES="carry rolling"  HOPS_MS="100 250 500 1000"  LOOKAHEADS_MS="0 100 250 500 1000 2000"
#   BALANCE_DB=-6          the voice against the band in the scores
#   OPTIONS=""             more options of `bsmamba2 evaluate`, e.g. "--device cuda"
#   BSMAMBA2=bsmamba2      the program
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
model=$1 songs=$2 reports=$3
: "${MODES=carry rolling}" "${HOPS_MS=100 250 500 1000}" "${LOOKAHEADS_MS=0 100 250 500 1000 2000}"
: "${BALANCE_DB=-6}" "${OPTIONS=}" "${BSMAMBA2=bsmamba2}"
mkdir -p "$reports"

# measure NAME [OPTIONS...]: one row's report.
measure() {
  local report=$reports/$1.json
  shift
  [ -s "$report" ] && return
  # shellcheck disable=SC2086  # OPTIONS is a list
  "$BSMAMBA2" evaluate --model "$model" --data "$songs" "--balance=$BALANCE_DB" $OPTIONS "$@" --json "$report.part" >/dev/null
  mv "$report.part" "$report"
}

rows=(offline)
measure offline
for mode in $MODES; do
  for hop in $HOPS_MS; do
    for lookahead in $LOOKAHEADS_MS; do
      echo "$mode, hop $hop ms, look-ahead $lookahead ms" >&2
      measure "$mode-$hop-$lookahead" --stream "hop=$hop,lookahead=$lookahead,mode=$mode"
      rows+=("$mode-$hop-$lookahead")
    done
  done
done

python3 - "$BALANCE_DB" "${rows[@]/#/$reports/}" <<'TABLE'
import json, sys
balance, paths = float(sys.argv[1]), sys.argv[2:]
reports = [json.load(open(path + '.json')) for path in paths]
if len({report['model_sha256'] for report in reports}) > 1:
    sys.exit('latency_table: the reports are of different models; give an empty folder')
print(f'| mode | hop, ms | look-ahead, ms | delay, ms | vocals uSDR at {balance:g} dB | instrumental uSDR at {balance:g} dB | real-time factor |')
print('| --- | --- | --- | --- | --- | --- | --- |')
for path, report in zip(paths, reports):
    score = next((b['mean'] for b in report['balances'] if b['balance_db'] == balance), None)
    if score is None:
        sys.exit(f'latency_table: {path}.json has no scores at {balance:g} dB; give an empty folder')
    stream = report.get('streaming')
    place = [stream['mode']] + [f"{stream[k]:.0f}" for k in ('hop_ms', 'lookahead_ms', 'delay_ms')] if stream else ['offline', '', '', '']
    print('| ' + ' | '.join(place + [f"{score[s]['uSDR']:.2f}" for s in ('vocals', 'instrumental')] + [f"{report['real_time_factor']:.3f}"]) + ' |')
TABLE
