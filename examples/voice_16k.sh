#!/usr/bin/env bash
# The voice alone, mono at 16 kHz, as speech recognition takes it:
#
#   examples/voice_16k.sh SONG VOICE.wav
set -euo pipefail
song=${1:?usage: voice_16k.sh SONG VOICE.wav}
out=${2:?usage: voice_16k.sh SONG VOICE.wav}

# Under its final name only when it is complete.
trap 'rm -f "$out.part"' EXIT
gst-launch-1.0 -q \
  filesrc location="$song" ! decodebin ! audioconvert ! audioresample ! bsmamba2sep name=s \
  s.vocals ! audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate=16000,channels=1 ! wavenc ! \
  filesink location="$out.part"
mv "$out.part" "$out"
