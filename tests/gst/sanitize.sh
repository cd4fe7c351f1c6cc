#!/usr/bin/env bash
# The plugin's tests, with the fake engine, built with AddressSanitizer and UBSan, and again with ThreadSanitizer.
#
#   tests/gst/sanitize.sh [asan|tsan|all] [TEST...]     default: all, every test of the plugin
#
# Builds in build-asan and build-tsan; BSM_RANDOM_OPERATIONS as for the test gst_random. Any finding fails the test.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
declare -A sanitizers=([asan]="address,undefined" [tsan]=thread)
which=${1:-all}
shift || true
case $which in
  all) builds=(asan tsan) ;;
  asan | tsan) builds=("$which") ;;
  *) echo "usage: $0 [asan|tsan|all] [TEST...]" >&2; exit 2 ;;
esac
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 # the others fail by themselves

status=0
for name in "${builds[@]}"; do
  build=$top/build-$name
  rm -f "$build/meson-logs/testlog.junit.xml"
  [ -f "$build/build.ninja" ] || meson setup "$build" "$top" -Dtests=enabled -Dengine=disabled \
    -Db_sanitize="${sanitizers[$name]}" -Db_lundef=false -Doptimization=0 # optimised, it compiles five times as long
  run() { meson test -C "$build" --timeout-multiplier 10 --print-errorlogs --suite gst "$@"; } # builds what it needs
  run "$@" && continue
  # Once in some hundred processes LeakSanitizer itself crashes, looking at a thread that is just ending: then all again.
  if grep -q 'LeakSanitizer has encountered a fatal error' "$build/meson-logs/testlog.txt"; then
    echo "LeakSanitizer failed, not a test; the tests once more"
    run "$@" && continue
  fi
  status=1
done
exit $status
