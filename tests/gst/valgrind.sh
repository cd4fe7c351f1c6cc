#!/usr/bin/env bash
# The plugin's tests under valgrind, with the fake engine: no invalid access, nothing definitely lost.
#
#   tests/gst/valgrind.sh [BUILD_FOLDER] [TEST...]      default: build-valgrind, all but the long ones
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:-$top/build-valgrind}
shift || true
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(gst_events gst_errors gst_faults gst_flow gst_flush_seek gst_gains gst_latency gst_properties
  gst_states gst_stems gst_random)

[ -f "$build/build.ninja" ] || meson setup "$build" "$top" -Dtests=enabled -Dengine=disabled -Doptimization=1 -Ddebug=true
ninja -C "$build"
export BSM_RANDOM_OPERATIONS=${BSM_RANDOM_OPERATIONS:-2000}
exec meson test -C "$build" --no-rebuild --timeout-multiplier 20 --print-errorlogs "${tests[@]}" \
  --wrap "valgrind --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --num-callers=30 --suppressions=$top/tests/gst/valgrind.supp"
