#!/usr/bin/env bash
# Every song of a folder into two files each; what is there already is skipped, what fails is named at the end:
#
#   examples/batch.sh SONG_FOLDER OUT_FOLDER
#
# (`bsmamba2 separate --skip-existing FOLDER/* -o OUT` does it with one load of the model.)
set -euo pipefail
songs=${1:?usage: batch.sh SONG_FOLDER OUT_FOLDER}
out=${2:?usage: batch.sh SONG_FOLDER OUT_FOLDER}
here=$(dirname "${BASH_SOURCE[0]}")
failed=()
for song in "$songs"/*; do
  [ -f "$song" ] || continue
  name=$(basename "${song%.*}")
  [ -f "$out/$name.vocals.flac" ] && [ -f "$out/$name.instrumental.flac" ] && continue
  "$here/two_files.sh" "$song" "$out" || failed+=("$song")
done
[ ${#failed[@]} -eq 0 ] || { printf 'not separated: %s\n' "${failed[@]}" >&2; exit 1; }
