#!/usr/bin/env bash
# Installs, builds and runs all tests; the last line is "N passed, N failed".
#
#   tests/run.sh [BUILD_FOLDER]     default: build-tests
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$top/build-tests}

"$top/examples/setup.sh" --tests
[ -f "$build/build.ninja" ] || meson setup "$build" "$top" -Dtests=enabled -Dengine=enabled
ninja -C "$build"

status=0
meson test -C "$build" --no-rebuild --print-errorlogs || status=$?

# One count over all test programs: single tests where a program is GoogleTest's, else the program itself.
python3 - "$build/meson-logs/testlog.junit.xml" "$status" <<'COUNT'
import sys
import xml.etree.ElementTree as xml
passed = failed = 0
for suite in xml.parse(sys.argv[1]).getroot().iter('testsuite'):
    for case in suite.findall('testcase'):
        if case.find('failure') is not None or case.find('error') is not None:
            failed += 1
        elif case.find('skipped') is None:
            passed += 1
if int(sys.argv[2]) and not failed:  # a program that died before it could report
    failed = 1
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
COUNT
