#!/usr/bin/env python3
"""Checks what the linker made of a library: nothing exported but what is named, no way to overwrite its tables.

    hardening.py LIBRARY COMPILE_COMMANDS EXPORT...

COMPILE_COMMANDS is meson's compile_commands.json; every source of the library must have been compiled with the stack
protector, and with FORTIFY unless the build is unoptimised or sanitised.
"""
import json
import pathlib
import subprocess
import sys

library, commands, *exports = sys.argv[1:]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


failures = []


def check(good, what):
    print(f'{"ok  " if good else "FAIL"} {what}')
    if not good:
        failures.append(what)


exported = {line.split()[-1].split('@')[0] for line in run('nm', '-D', '--defined-only', library).splitlines()}
exported -= {'__asan_default_options', '__bss_start', '_edata', '_end', '_init', '_fini'}
check(exported == set(exports), f'exports {sorted(exported)}, expected {sorted(exports)}')
dynamic = run('readelf', '-dW', library)
check('BIND_NOW' in dynamic, 'all symbols are bound at load (full RELRO)')
for tag in ('RPATH', 'RUNPATH', 'TEXTREL'):
    check(f'({tag})' not in dynamic, f'no {tag}')
for forbidden in ('torch', 'c10', 'fftw', 'cuda'):
    check(f'[lib{forbidden}' not in dynamic, f'does not need lib{forbidden}')
segments = run('readelf', '-lW', library)
check('GNU_RELRO' in segments, 'relocations are read-only')
stack = [line for line in segments.splitlines() if 'GNU_STACK' in line]
check(len(stack) == 1 and 'RWE' not in stack[0], 'the stack is not executable')

name = pathlib.Path(library).name
compiled = [c['command'] for c in json.load(open(commands)) if f'{name}.p/' in c['output']]
check(bool(compiled), 'its compile commands are known')
check(all('-fstack-protector-strong' in c for c in compiled), 'compiled with the stack protector')
check('__stack_chk_fail' in run('nm', '-D', library), 'the stack protector is in the code')
if all('-fsanitize' not in c and ' -O0' not in c and (' -O' in c) for c in compiled):
    check(all('-D_FORTIFY_SOURCE=2' in c for c in compiled), 'compiled with FORTIFY')
sys.exit(1 if failures else 0)
