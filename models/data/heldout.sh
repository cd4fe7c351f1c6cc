#!/usr/bin/env bash
# Makes the held-out test set: six songs of 40 s, singing rendered with seeds that training never used over music that it
# never heard, as song folders for `bsmamba2 evaluate --data OUT`.
#
#   models/data/heldout.sh OPEN_AUDIO OUT
#
# OUT/free_1..3 have four excerpts of free music each (heldout-files.txt, which prepare.sh leaves out of the training folder),
# OUT/rendered_1..3 a band rendered with another seed. The voice banks are those of training: no others are openly licensed.
# About two minutes on one core; the audio is the same each time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
audio=$(realpath "$1") out=$(mkdir -p "$2" && realpath "$2")
font=/usr/share/sounds/sf2/FluidR3_GM.sf2
length_s=40
for need in fluidsynth sox; do
  command -v "$need" >/dev/null || { echo "heldout: $need is missing; see prepare.sh" >&2; exit 1; }
done

rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
/usr/bin/python3 "$here/band.py" "$font" "$rendered/bands" 3 $length_s 91
/usr/bin/python3 "$here/sing.py" "$audio/voices" "$rendered/singing" $length_s 91
mkdir "$rendered/voice"
ln -s "$audio"/voices/ibuki.* "$rendered/voice/"
/usr/bin/python3 "$here/sing.py" "$rendered/voice" "$rendered/singing" $length_s 92

mapfile -t files < "$here/heldout-files.txt"
voices=("$rendered"/singing/*.flac)
for n in 1 2 3; do
  free=$out/free_$n band=$out/rendered_$n
  mkdir -p "$free" "$band"
  parts=()
  for file in "${files[@]:(n - 1) * 4:4}"; do
    sox "$audio/train/instrumental/$file" -c 2 -r 44100 "$rendered/$file.wav" trim 0 $((length_s / 4)) fade t 0.05 -0 0.05
    parts+=("$rendered/$file.wav")
  done
  sox "${parts[@]}" -C 8 "$free/accompaniment.ogg"
  sox "$rendered/bands/band_91_00$((n - 1)).flac" -C 8 "$band/accompaniment.ogg"
  sox "${voices[n - 1]}" -C 8 "$free/vocals.ogg"
  sox "${voices[n + 2]}" -C 8 "$band/vocals.ogg"
done
du -sh "$out"
