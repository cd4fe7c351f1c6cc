#!/usr/bin/env bash
# One song into two files, with the element:
#
#   examples/two_files.sh SONG [OUT_FOLDER]      default: the folder at hand
#
# Run it where GStreamer finds the plugin: installed, or in `meson devenv -C build -w .`.
set -euo pipefail
song=${1:?usage: two_files.sh SONG [OUT_FOLDER]}
out=${2:-.}
name=$(basename "${song%.*}")
mkdir -p "$out"

# Under their final names only when they are complete.
trap 'rm -f "$out/$name".{vocals,instrumental}.flac.part' EXIT
gst-launch-1.0 -q \
  filesrc location="$song" ! decodebin ! audioconvert ! audioresample ! bsmamba2sep name=s \
  s.vocals ! audioconvert ! flacenc ! filesink location="$out/$name.vocals.flac.part" \
  s.instrumental ! audioconvert ! flacenc ! filesink location="$out/$name.instrumental.flac.part"
for stem in vocals instrumental; do mv "$out/$name.$stem.flac.part" "$out/$name.$stem.flac"; done
echo "$out/$name.vocals.flac $out/$name.instrumental.flac"
