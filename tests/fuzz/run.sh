#!/usr/bin/env bash
# Fuzzes both model file readers, each for SECONDS; a finding stops the run and is left in the build folder.
#
#   tests/fuzz/run.sh [SECONDS] [BUILD_FOLDER]     default: 120, build-fuzz
#
# To keep a finding as a test: copy it to tests/fuzz/corpus/<reader>/ as good-... (must be read) or bad-... (must be
# refused), with pickle- before it where only the pickle of an archive is meant; io_test replays that folder.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
seconds=${1:-120}
build=${2:-$top/build-fuzz}

[ -f "$build/build.ninja" ] || CXX=${CXX:-clang++} meson setup "$build" "$top" -Dfuzz=true -Dengine=enabled -Dcuda=disabled
ninja -C "$build" tests/fuzz/fuzz_safetensors tests/fuzz/fuzz_torch_archive

for reader in safetensors torch_archive; do
  mkdir -p "$build/corpus-$reader"
  "$build/tests/fuzz/fuzz_$reader" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$build/finding-$reader-" \
    "$build/corpus-$reader" "$top/tests/fuzz/corpus/$reader"
done
echo "no findings"
