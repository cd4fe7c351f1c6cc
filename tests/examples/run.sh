#!/usr/bin/env bash
# Runs one example against the fake engine (the voice is a quarter of the input) and checks what it made.
#
#   run.sh NAME VOICE_SLIDER_PROGRAM             the environment is that of the plugin's tests
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
examples=$here/../../examples
slider=$2
work=$(mktemp -d)
jobs_pids=()
clean_up() {
  for pid in "${jobs_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean_up EXIT

# 3 s of a tone at half of full scale, stereo.
tone() { gst-launch-1.0 -q audiotestsrc num-buffers=60 samplesperbuffer=2205 volume=0.5 ! "audio/x-raw,rate=44100,channels=2" ! "$@"; }
check() { python3 "$here/check_wav.py" "$@"; }
to_wav() { gst-launch-1.0 -q filesrc location="$1" ! decodebin ! audioconvert ! audio/x-raw,format=S16LE ! wavenc ! filesink location="$2"; }
interrupt() { # PID: as Ctrl-C, which -e turns into an end of the stream
  kill -INT "$1"
  wait "$1" || true
}

case $1 in
  two_files)
    tone wavenc ! filesink location="$work/song.wav"
    "$examples/two_files.sh" "$work/song.wav" "$work/out"
    to_wav "$work/out/song.vocals.flac" "$work/v.wav"
    to_wav "$work/out/song.instrumental.flac" "$work/i.wav"
    check "$work/v.wav" 44100 2 132300 0.125
    check "$work/i.wav" 44100 2 132300 0.375
    ;;
  batch)
    mkdir "$work/songs"
    tone wavenc ! filesink location="$work/songs/a.wav"
    cp "$work/songs/a.wav" "$work/songs/b.wav"
    echo "not audio" >"$work/songs/c.txt"
    if "$examples/batch.sh" "$work/songs" "$work/out" 2>"$work/errors"; then exit 1; fi
    grep -q 'not separated: .*c.txt' "$work/errors"
    [ "$(ls "$work/out")" = "$(printf '%s\n' {a,b}.{instrumental,vocals}.flac)" ]
    rm "$work/songs/c.txt"
    before=$(stat -c %Y.%i "$work"/out/*)
    "$examples/batch.sh" "$work/songs" "$work/out"
    [ "$(stat -c %Y.%i "$work"/out/*)" = "$before" ]
    ;;
  voice_16k)
    tone wavenc ! filesink location="$work/song.wav"
    "$examples/voice_16k.sh" "$work/song.wav" "$work/v.wav"
    check "$work/v.wav" 16000 1 48000 0.125
    ;;
  karaoke_player)
    gst-launch-1.0 -q videotestsrc num-buffers=75 ! video/x-raw,width=64,height=48,framerate=25/1 ! theoraenc ! oggmux name=m ! \
      filesink location="$work/video.ogg" \
      audiotestsrc num-buffers=60 samplesperbuffer=2205 volume=0.5 ! audio/x-raw,rate=44100,channels=2 ! vorbisenc quality=0.9 ! m.
    # Both sinks follow the clock, so that a picture without sound, or the other way round, would hang or be late.
    AUDIO_SINK="audio/x-raw,format=S16LE ! wavenc ! filesink sync=true location=$work/i.wav" VIDEO_SINK="fakesink sync=true" \
      timeout 60 "$examples/karaoke_player.sh" "$work/video.ogg" 1
    check "$work/i.wav" 44100 2 at-least-130000 0.5
    ;;
  live_karaoke)
    AUDIO_SOURCE="audiotestsrc is-live=true num-buffers=60 samplesperbuffer=2205 volume=0.5" \
      AUDIO_SINK="audio/x-raw,format=S16LE,rate=44100,channels=2 ! wavenc ! filesink location=$work/i.wav" \
      timeout 60 "$examples/live_karaoke.sh" 0
    check "$work/i.wav" 44100 2 132300 any
    ;;
  network_karaoke)
    in=$((20000 + RANDOM % 10000 * 2))
    out=$((in + 2))
    caps='application/x-rtp,media=(string)audio,clock-rate=(int)44100,encoding-name=(string)L16,channels=(int)2'
    LATENCY_MS=200 "$examples/network_karaoke.sh" $in $out >"$work/log" 2>&1 &
    karaoke=$!
    gst-launch-1.0 -q -e udpsrc port=$out caps="$caps" ! rtpL16depay ! audioconvert ! audio/x-raw,format=S16LE ! wavenc ! \
      filesink location="$work/i.wav" &
    listener=$!
    jobs_pids=($karaoke $listener)
    sleep 1
    gst-launch-1.0 -q audiotestsrc is-live=true num-buffers=80 samplesperbuffer=2205 volume=0.5 ! \
      audio/x-raw,rate=44100,channels=2 ! audioconvert ! rtpL16pay ! udpsink host=127.0.0.1 port=$in
    sleep 1
    interrupt $karaoke
    interrupt $listener
    jobs_pids=()
    check "$work/i.wav" 44100 2 at-least-88200 any
    ;;
  voice_slider_cpp | voice_slider_py)
    tone wavenc ! filesink location="$work/song.wav"
    program=("$slider")
    if [ "$1" = voice_slider_py ]; then
      python=$(for p in python3 /usr/bin/python3; do "$p" -c 'import gi' 2>/dev/null && echo "$p" && break; done || true)
      [ -n "$python" ] || { echo "PyGObject is not installed"; exit 77; } # skipped
      program=("$python" "$examples/voice_slider.py")
    fi
    # All the way up before the first sound leaves; a sink without a clock is done at once.
    { printf '++++++++++++-+'; sleep 2; } | AUDIO_SINK="audioconvert ! audio/x-raw,format=S16LE ! wavenc ! filesink location=$work/i.wav" \
      timeout 60 "${program[@]}" "$work/song.wav" >"$work/screen"
    grep -q 'voice \[##########\] 100 %' "$work/screen"
    check "$work/i.wav" 44100 2 132300 any
    if "${program[@]}" "$work/none.wav" </dev/null 2>"$work/errors"; then exit 1; fi
    [ -s "$work/errors" ]
    ;;
  *)
    echo "no example $1" >&2
    exit 2
    ;;
esac
echo "$1: good"
