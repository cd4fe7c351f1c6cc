#!/usr/bin/env bash
# Makes the training folder of the shipped models out of the open audio it was trained on.
#
#   models/data/prepare.sh OPEN_AUDIO OUT [BAND_SEEDS] [SUNG_SECONDS] [SPOKEN_SECONDS]
#
# OPEN_AUDIO holds voices/ (syllables: *.ogg and *.tsv) and train/instrumental/ (free music), as SOURCES.tsv lists them; recorded
# voices of free games and learning programs come from Debian's packages (speech.py). OUT/instrumental gets the free music, but not
# heldout-files.txt (see heldout.sh), and rendered bands (five of 150 s for each seed from 100 on, default 64 seeds); OUT/vocals gets
# singing rendered from the five sung voices (default 3000 s each, seed 21) and from some forty spoken ones (default 750 s each, seed
# 22), and the speech as it is; OUT/songs gets four songs of "Everything is Remixed" with their own voices (remixed.py), from GitHub or
# from the working tree of that repository that the variable REMIXED names. Some three hours of one core, as much less as there are
# cores; the result is the same each time.
set -euo pipefail
[ $# -ge 2 ] && [ $# -le 5 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
audio=$(realpath "$1") out=$(mkdir -p "$2" && realpath "$2") seeds=${3:-64} sung_s=${4:-3000} spoken_s=${5:-750}
font=/usr/share/sounds/sf2/FluidR3_GM.sf2
for need in fluidsynth sox faad git "$font"; do
  command -v "$need" >/dev/null || [ -r "$need" ] || {
    echo "prepare: $need is missing; apt-get install fluidsynth fluid-soundfont-gm sox faad git python3-numpy python3-scipy" \
      "python3-numba python3-soundfile" >&2
    exit 1
  }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for package in hedgewars-data klettres-data tuxpaint-stamps-default; do
  (cd "$work" && apt-get download -qq "$package" && dpkg-deb -x "$package"_*.deb "$package" && rm "$package"_*.deb)
done
/usr/bin/python3 "$here/speech.py" "$work" "$work/voices" "$work/speech" 31

if [ -z "${REMIXED:-}" ]; then
  REMIXED=$work/remixed
  git init -q "$REMIXED"
  git -C "$REMIXED" sparse-checkout set src/1.Hydrogen src/2.Lithium src/6.Caesium src/7.Francium
  git -C "$REMIXED" fetch -q --depth 1 --filter=blob:none https://github.com/ichbinsoftware/everythingisremixed \
    6a6fbe3a634871fba7efe298dee048f394aa0f18
  git -C "$REMIXED" checkout -q FETCH_HEAD
fi
/usr/bin/python3 "$here/remixed.py" "$REMIXED" "$out/songs"

seq 100 $((99 + seeds)) | xargs -P "$(nproc)" -I '{}' /usr/bin/python3 "$here/band.py" "$font" "$work/bands" 5 150 '{}'
/usr/bin/python3 "$here/sing.py" "$audio/voices" "$work/singing" "$sung_s" 21 "$(nproc)"
/usr/bin/python3 "$here/sing.py" "$work/voices" "$work/singing" "$spoken_s" 22 "$(nproc)"

mkdir -p "$out/instrumental" "$out/vocals"
cp "$audio"/train/instrumental/*.ogg "$out/instrumental/"
(cd "$out/instrumental" && xargs rm -f < "$here/heldout-files.txt")
mv "$work"/bands/*.flac "$out/instrumental/"
mv "$work"/singing/*.flac "$work"/speech/*.flac "$out/vocals/"
du -sh "$out"
