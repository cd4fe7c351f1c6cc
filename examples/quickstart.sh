#!/usr/bin/env bash
# From a fresh Debian 12 or Ubuntu machine to a separated song, with one command:
#
#   examples/quickstart.sh [SONG] [OUT_FOLDER]
#
# Installs missing packages, builds into build/, and runs the GStreamer element on SONG (default: the shipped CC0 song
# "Sodium"). Writes vocals.flac and instrumental.flac to OUT_FOLDER (default: out/<name of the song>).
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
song=$(realpath "${1:-$top/examples/sodium.ogg}")
[ -r "$song" ] || { echo "quickstart: cannot read the song $song" >&2; exit 1; }
name=$(basename "${song%.*}")
out=$(realpath -m "${2:-$top/out/$name}") # the shell of meson devenv starts in the build folder

"$top/examples/setup.sh"
[ -f "$top/build/build.ninja" ] || meson setup "$top/build" "$top" -Dtests=disabled -Dengine=enabled
ninja -C "$top/build"
mkdir -p "$out"

# Two branches of one element; no queues are needed.
meson devenv -C "$top/build" gst-launch-1.0 -q \
  filesrc location="$song" ! decodebin ! audioconvert ! audioresample ! bsmamba2sep name=sep \
  sep.vocals ! audioconvert ! flacenc ! filesink location="$out/vocals.flac" \
  sep.instrumental ! audioconvert ! flacenc ! filesink location="$out/instrumental.flac"

echo
echo "The voice: $out/vocals.flac"
echo "The band:  $out/instrumental.flac"
