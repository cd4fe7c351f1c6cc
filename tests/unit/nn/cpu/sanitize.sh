#!/usr/bin/env bash
# The CPU operators' tests, built with AddressSanitizer and UBSan, and again with ThreadSanitizer (the thread team).
#
#   tests/unit/nn/cpu/sanitize.sh [asan|tsan|all] [GOOGLETEST_ARGUMENT...]      default: all
#
# Builds in build-asan-nn and build-tsan-nn, for some 10 minutes each. LibTorch itself is not instrumented. Any finding is a failure.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../.." && pwd)
declare -A sanitizers=([asan]="address,undefined" [tsan]=thread)
which=${1:-all}
shift || true
case $which in
  all) builds=(asan tsan) ;;
  asan | tsan) builds=("$which") ;;
  *) echo "usage: $0 [asan|tsan|all] [GOOGLETEST_ARGUMENT...]" >&2; exit 2 ;;
esac
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

status=0
for name in "${builds[@]}"; do
  build=$top/build-$name-nn
  [ -f "$build/build.ninja" ] || meson setup "$build" "$top" -Dtests=enabled -Dengine=enabled \
    -Db_sanitize="${sanitizers[$name]}" -Db_lundef=false -Doptimization=1
  ninja -C "$build" tests/unit/nn/cpu/nn_cpu_test
  "$build/tests/unit/nn/cpu/nn_cpu_test" "$@" || status=$?
done
exit $status
