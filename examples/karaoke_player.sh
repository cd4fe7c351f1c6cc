#!/usr/bin/env bash
# Plays a video without the voice, in sync:
#
#   examples/karaoke_player.sh VIDEO [GUIDE]     GUIDE: share of the voice that stays, 0 to 1 (default 0)
#
# AUDIO_SINK and VIDEO_SINK name other sinks. The video waits in a queue that is longer than the separation's latency; without
# it the first buffer of the audio would never come.
set -euo pipefail
video=${1:?usage: karaoke_player.sh VIDEO [GUIDE]}
guide=${2:-0}
read -ra audio_sink <<<"${AUDIO_SINK:-autoaudiosink}"
read -ra video_sink <<<"${VIDEO_SINK:-autovideosink}"
gst-launch-1.0 -q \
  filesrc location="$video" ! decodebin name=d \
  d. ! queue max-size-time=3000000000 max-size-bytes=0 max-size-buffers=0 ! videoconvert ! "${video_sink[@]}" \
  d. ! queue ! audioconvert ! audioresample ! bsmamba2sep name=s guide-level="$guide" \
  s.instrumental ! audioconvert ! audioresample ! "${audio_sink[@]}"
