#!/usr/bin/env bash
# Builds the GPU tests against the LibTorch of this machine's Python and runs them, then the benchmark.
#
#   tests/gpu/run.sh [--lost] [BUILD_FOLDER]     default: build-gpu
#
#   --lost   only the test that breaks the GPU for its processes, again and again (gpu_lost_test.cpp)
#
# Where no GStreamer is installed, a bundle made by bundle-gstreamer.sh in .gst-bundle/ stands in for it.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
all=yes
if [ "${1:-}" = --lost ]; then
  all=no
  shift
fi
build=${1:-$top/build-gpu}

if [ -f "$top/.gst-bundle/env.sh" ] && ! pkg-config --exists gstreamer-1.0 2>/dev/null; then
  # shellcheck disable=SC1091
  source "$top/.gst-bundle/env.sh"
fi
torch=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')
arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
[ -f "$build/build.ninja" ] ||
  meson setup "$build" "$top" -Dlibtorch="$torch" -Dcuda=enabled -Dtests=enabled -Dgpu_arch="$arch"
lost="tests/gpu/gpu_lost_test gst/libgstbsmamba2sep.so src/engine/libbsmamba2engine.so"
# shellcheck disable=SC2086
ninja -C "$build" $lost $([ $all = no ] || echo tests/gpu/gpu_test tests/gpu/gpu_bench)
[ $all = no ] || "$build/tests/gpu/gpu_test" --gtest_brief=1
meson test -C "$build" --no-rebuild --verbose gpu_lost
[ $all = no ] || "$build/tests/gpu/gpu_bench"
