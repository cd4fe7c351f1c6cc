#!/usr/bin/env bash
# Microphone or line in to the speakers, the voice turned down to a guide for singers, until Ctrl-C:
#
#   examples/live_karaoke.sh [GUIDE]             GUIDE: share of the voice that stays, 0 to 1 (default 0.15)
#
# AUDIO_SOURCE and AUDIO_SINK name other devices, LATENCY_MS the delay (default 500; more separates better). When the machine is
# too slow the sound passes as it is, and a warning says so.
set -euo pipefail
guide=${1:-0.15}
read -ra audio_source <<<"${AUDIO_SOURCE:-autoaudiosrc}"
read -ra audio_sink <<<"${AUDIO_SINK:-autoaudiosink}"
exec gst-launch-1.0 -e \
  "${audio_source[@]}" ! audioconvert ! audioresample ! \
  bsmamba2sep name=s latency=$((${LATENCY_MS:-500} * 1000000)) guide-level="$guide" \
  s.instrumental ! audioconvert ! audioresample ! "${audio_sink[@]}"
