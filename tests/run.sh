#!/usr/bin/env bash
# Installs, builds and runs all tests, and those of the plugin again under sanitizers: all of them under AddressSanitizer and
# UBSan, the random scripts under ThreadSanitizer. The last line is "N passed, N failed".
#
#   tests/run.sh [BUILD_FOLDER]     default: build-tests
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$top/build-tests}

"$top/examples/setup.sh" --tests
[ -f "$build/build.ninja" ] || meson setup "$build" "$top" -Dtests=enabled -Dengine=enabled
ninja -C "$build"

status=(0 0 0)
meson test -C "$build" --no-rebuild --print-errorlogs || status[0]=$?
"$top/tests/gst/sanitize.sh" asan || status[1]=$?
"$top/tests/gst/sanitize.sh" tsan gst_random || status[2]=$?

# One count over all test programs: single tests where a program is GoogleTest's, else the program itself.
python3 - "$build" "${status[0]}" "$top/build-asan" "${status[1]}" "$top/build-tsan" "${status[2]}" <<'COUNT'
import os
import sys
import xml.etree.ElementTree as xml
passed = failed = 0
for build, status in zip(sys.argv[1::2], sys.argv[2::2]):
    log = os.path.join(build, 'meson-logs', 'testlog.junit.xml')
    failed_before = failed
    for case in xml.parse(log).getroot().iter('testcase') if os.path.exists(log) else []:
        if case.find('failure') is not None or case.find('error') is not None:
            failed += 1
        elif case.find('skipped') is None:
            passed += 1
    if int(status) and failed == failed_before:  # a program that died before it could report, or did not build
        failed += 1
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
COUNT
