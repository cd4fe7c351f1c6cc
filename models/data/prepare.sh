#!/usr/bin/env bash
# Makes the training folder of the shipped models out of the open audio it was trained on.
#
#   models/data/prepare.sh OPEN_AUDIO OUT [BAND_TRACKS] [SINGING_SECONDS_PER_VOICE]
#
# OPEN_AUDIO holds voices/ (syllables: *.ogg and *.tsv) and train/instrumental/ (free music), as SOURCES.tsv lists them.
# OUT/instrumental gets the free music, but not heldout-files.txt (see heldout.sh), and rendered bands (default 48 of 150 s,
# seed 11); OUT/vocals gets rendered singing (default 1500 s for each of the five voices, twice, seeds 21 and 22). About 20
# minutes on one core; the result is the same each time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
audio=$(realpath "$1") out=$(mkdir -p "$2" && realpath "$2") tracks=${3:-48} seconds=${4:-1500}
font=/usr/share/sounds/sf2/FluidR3_GM.sf2
for need in fluidsynth sox "$font"; do
  command -v "$need" >/dev/null || [ -r "$need" ] || {
    echo "prepare: $need is missing; apt-get install fluidsynth fluid-soundfont-gm sox python3-numpy python3-scipy" \
      "python3-numba python3-soundfile" >&2
    exit 1
  }
done

rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
/usr/bin/python3 "$here/band.py" "$font" "$rendered/bands" "$tracks" 150 11
for seed in 21 22; do /usr/bin/python3 "$here/sing.py" "$audio/voices" "$rendered/singing" "$seconds" $seed; done

mkdir -p "$out/instrumental" "$out/vocals"
cp "$audio"/train/instrumental/*.ogg "$out/instrumental/"
(cd "$out/instrumental" && xargs rm -f < "$here/heldout-files.txt")
for file in "$rendered"/bands/*.flac; do sox "$file" -C 2 "$out/instrumental/$(basename "${file%.flac}").ogg"; done
for file in "$rendered"/singing/*.flac; do sox "$file" -C 2 "$out/vocals/$(basename "${file%.flac}").ogg"; done
du -sh "$out"
