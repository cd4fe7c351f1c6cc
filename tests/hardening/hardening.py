#!/usr/bin/env python3
"""Checks what compiler and linker made of the plugin, the engine library or the program.

    hardening.py FILE COMPILE_COMMANDS OBJECTS [--export NAME]... [--run-path DIR] [--needs-no LIBRARY]...

Nothing leaves FILE but the symbols named by --export; without any, FILE is a program, which may offer templates of the
standard library and LibTorch to its libraries, but nothing of the project's. The linker's tables cannot be overwritten.
COMPILE_COMMANDS is meson's compile_commands.json; every source whose object file's path begins with OBJECTS must have been
compiled with the stack protector, and with FORTIFY unless the build is unoptimised or sanitised.
"""
import argparse
import json
import re
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument('file')
parser.add_argument('commands')
parser.add_argument('objects')
parser.add_argument('--export', action='append', default=[])
parser.add_argument('--run-path', default='')
parser.add_argument('--needs-no', action='append', default=[])
options = parser.parse_args()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


failures = []


def check(good, what):
    print(f'{"ok  " if good else "FAIL"} {what}')
    if not good:
        failures.append(what)


symbols = run('nm', '-D', '--extern-only', '--defined-only', options.file).splitlines()
exported = {line.split()[-1].split('@')[0] for line in symbols}
exported -= {'__asan_default_options', '__bss_start', '_edata', '_end', '_init', '_fini'}
if options.export:
    check(exported == set(options.export), f'exports {sorted(exported)}, expected {sorted(options.export)}')
else:
    own = sorted(name for name in exported if re.search(r'3bsm|^bsm_', name))
    check(not own, f'exports nothing of its own, found {own}')

dynamic = run('readelf', '-dW', options.file)
check('BIND_NOW' in dynamic, 'all symbols are bound at load (full RELRO)')
check('(TEXTREL)' not in dynamic, 'no relocations in code')
run_paths = re.findall(r'\((?:RPATH|RUNPATH)\).*\[(.*)\]', dynamic)
strange = {folder for path in run_paths for folder in path.split(':')} - {options.run_path}
check(not strange, f'libraries are searched in no folder but "{options.run_path}", found {sorted(strange)}')
for library in options.needs_no:
    check(f'[lib{library}' not in dynamic, f'does not need lib{library}')
segments = run('readelf', '-lW', options.file)
check('GNU_RELRO' in segments, 'relocations are read-only')
stack = [line for line in segments.splitlines() if 'GNU_STACK' in line]
check(len(stack) == 1 and 'RWE' not in stack[0], 'the stack is not executable')
check('DYN' in run('readelf', '-hW', options.file), 'it is loaded at any address')

compiled = [c['command'] for c in json.load(open(options.commands)) if c['output'].startswith(options.objects)]
check(bool(compiled), f'the compile commands of its {len(compiled)} sources are known')
check(all('-fstack-protector-strong' in c for c in compiled), 'compiled with the stack protector')
check('__stack_chk_fail' in run('nm', '-D', options.file), 'the stack protector is in the code')
if all('-fsanitize' not in c and ' -O0' not in c and (' -O' in c) for c in compiled):
    check(all('-D_FORTIFY_SOURCE=2' in c for c in compiled), 'compiled with FORTIFY')
sys.exit(1 if failures else 0)
