#!/usr/bin/env bash
# Scores GStreamer's audiokaraoke (removes what is equal on both channels) on songs with true stems:
#
#   tests/baselines/audiokaraoke.sh BSMAMBA2 DATA JSON [BALANCE_DB...]
#
# BSMAMBA2 is the built program, DATA as for `bsmamba2 evaluate --data`, JSON the report to write. Instrumental = the
# element's output with its default properties, vocals = mixture - instrumental.
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
bsmamba2=$(realpath "$1") data=$2 json=$3
shift 3
balances=()
for balance in "$@"; do balances+=(--balance "$balance"); done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/audiokaraoke"
"$bsmamba2" evaluate --data "$data" ${balances[@]+"${balances[@]}"} --write-mixtures "$work/mixtures"
for mixture in "$work"/mixtures/*.wav; do
  name=$(basename "$mixture" .wav)
  gst-launch-1.0 -q filesrc location="$mixture" ! wavparse ! audioconvert ! 'audio/x-raw,format=F32LE,channels=2' ! \
    audiokaraoke ! wavenc ! filesink location="$work/audiokaraoke/$name.instrumental.wav"
done
"$bsmamba2" evaluate --data "$data" ${balances[@]+"${balances[@]}"} --estimates "$work/audiokaraoke" --json "$json"
