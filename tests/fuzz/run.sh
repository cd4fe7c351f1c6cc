#!/usr/bin/env bash
# Fuzzes both model file readers at once, each for SECONDS; prints the figures of each. A finding fails the run and is
# left in the build folder, as is what each fuzzer printed.
#
#   tests/fuzz/run.sh [SECONDS] [BUILD_FOLDER]     default: 120, build-fuzz
#
# To keep a finding as a test: copy it to tests/fuzz/corpus/<reader>/ as good-... (must be read) or bad-... (must be
# refused), with pickle- before it where only the pickle of an archive is meant; io_test replays that folder.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
seconds=${1:-120}
build=${2:-$top/build-fuzz}
readers=(safetensors torch_archive)

[ -f "$build/build.ninja" ] || CXX=${CXX:-clang++} meson setup "$build" "$top" -Dfuzz=true -Dengine=enabled -Dcuda=disabled
ninja -C "$build" "${readers[@]/#/tests/fuzz/fuzz_}"

declare -A running
for reader in "${readers[@]}"; do
  mkdir -p "$build/corpus-$reader"
  "$build/tests/fuzz/fuzz_$reader" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$build/finding-$reader-" \
    "$build/corpus-$reader" "$top/tests/fuzz/corpus/$reader" >"$build/log-$reader" 2>&1 &
  running[$reader]=$!
done
status=0
for reader in "${readers[@]}"; do
  if wait "${running[$reader]}"; then
    echo "$reader: $(grep -a 'DONE  ' "$build/log-$reader"); $(grep -a '^Done ' "$build/log-$reader"); no finding"
  else
    status=1
    tail -n 60 "$build/log-$reader"
    echo "$reader: FINDING, see $build/log-$reader"
  fi
done
exit $status
