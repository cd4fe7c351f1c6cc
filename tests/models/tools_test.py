#!/usr/bin/env python3
"""The tools of models/: tools_test.py NAME. Exit status 77 (skipped) where a tool's library is missing."""
import json, math, os, pathlib, struct, subprocess, sys, tempfile
from xml.etree import ElementTree

MODELS = pathlib.Path(__file__).resolve().parents[2] / 'models'
PYTHON = '/usr/bin/python3'  # Debian's, whose modules the tools name


def run(*command, **environment):
    done = subprocess.run([str(c) for c in command], env={**os.environ, **environment}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def check(condition, what):
    if not condition:
        sys.exit(f'tools_test: {what}')


LOG = '''step,loss,gradient_norm,learning_rate,audio_s_per_s,skipped_steps,vocals_usdr_db,instrumental_usdr_db,trained_s
100,1.2,0.3,0.001,650,0,,,24
200,0.9,0.4,0.0008,753,0,2.5,11,37
300,0.8,0.5,0.0006,753,0,2.5,11,50
400,0.7,0.5,0.0003,753,0,4.25,12,63
'''


def plot_log(folder):
    log, out = folder / 'log.csv', folder / 'log.svg'
    log.write_text(LOG)
    status, _, error = run(PYTHON, MODELS / 'plot_log.py', log)
    check(status == 0, error)
    lines = ElementTree.parse(out).getroot().findall('{http://www.w3.org/2000/svg}polyline')
    points = [[tuple(map(float, p.split(','))) for p in line.get('points').split()] for line in lines]
    check([len(p) for p in points] == [4, 2, 2, 4], f'loss, two scores and learning rate, not {[len(p) for p in points]}')
    check(all(a[0] < b[0] for line in points for a, b in zip(line, line[1:])), 'steps do not go from left to right')
    check(all(a[1] < b[1] for a, b in zip(points[0], points[0][1:])), 'the loss does not fall')  # y grows downwards
    check(points[1][1][1] < points[1][0][1], 'the score does not rise')
    check('best 4.25 dB' in out.read_text(), 'the best score is not named')
    log.write_text('a,b\n1,2\n')
    status, _, error = run(PYTHON, MODELS / 'plot_log.py', log)
    check(status == 1 and 'log.csv' in error, error)


FAKE_PROGRAM = '''#!/usr/bin/python3
import json, os, sys
sys.argv[1] == 'evaluate' or sys.exit('not evaluate')
open(sys.argv[sys.argv.index('--model') + 1] + '.calls', 'a').write(
    ' '.join(['GPU' + os.environ.get('CUDA_VISIBLE_DEVICES', '')] + sys.argv) + '\\n')
report = {'model_sha256': 'x', 'real_time_factor': 0.5, 'balances': [
    {'balance_db': b, 'mean': {'vocals': {'uSDR': 1}, 'instrumental': {'uSDR': 2}}} for b in (None, -6.0)]}
if '--stream' in sys.argv:
    spec = dict(part.split('=') for part in sys.argv[sys.argv.index('--stream') + 1].split(','))
    hop, lookahead = float(spec['hop']), float(spec['lookahead'])
    report['streaming'] = {'mode': spec['mode'], 'hop_ms': hop, 'lookahead_ms': lookahead, 'delay_ms': hop + lookahead + 23}
    report['balances'][1]['mean']['vocals']['uSDR'] = lookahead / 1000
json.dump(report, open(sys.argv[sys.argv.index('--json') + 1], 'w'))
'''


def latency_table(folder):
    program, model = folder / 'program', folder / 'model'
    program.write_text(FAKE_PROGRAM)
    program.chmod(0o755)
    table = lambda **more: run(MODELS / 'latency_table.sh', model, 'songs', folder / 'reports', BSMAMBA2=str(program), **more)
    narrow = {'MODES': 'carry', 'HOPS_MS': '100 500', 'LOOKAHEADS_MS': '0 250'}
    status, out, error = table(**narrow)
    check(status == 0, error)
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in out.splitlines()]
    check(len(rows) == 2 + 1 + 4, out)
    check(rows[2] == ['offline', '', '', '', '1.00', '2.00', '0.500'], out)
    check(rows[6] == ['carry', '500', '250', '773', '0.25', '2.00', '0.500'], out)
    calls = lambda: len((folder / 'model.calls').read_text().splitlines())
    check(calls() == 5 and len(list((folder / 'reports').glob('*.json'))) == 5, 'one report for each row')
    check(table(**narrow) == (0, out, '') and calls() == 5, 'rows that are there are not measured again')
    status, out, error = table(JOBS='4', GPUS='2')
    check(status == 0 and len(out.splitlines()) == 2 + 1 + 2 * 4 * 6, error)
    csv = (folder / 'reports' / 'table.csv').read_text().splitlines()
    check(len(csv) == 1 + 1 + 2 * 4 * 6 and csv[-1] == 'rolling,1000,2000,3023,2.00,2.00,0.500', csv[-1])
    later = (folder / 'model.calls').read_text().splitlines()[5:]
    check({line.split()[0] for line in later} == {'GPU0', 'GPU1'}, 'the jobs are spread over both GPUs')
    check(all(('mode=rolling' in line) == ('context=8000' in line) for line in later), 'rolling has the context of the element')
    program.write_text('#!/bin/sh\necho broken >&2; exit 1\n')
    status, out, error = run(MODELS / 'latency_table.sh', model, 'songs', folder / 'other', BSMAMBA2=str(program))
    check(status != 0 and out == '' and 'broken' in error, 'a row that fails stops the table')


def write_wav(path, samples):
    data = struct.pack(f'<{2 * len(samples)}f', *[s for s in samples for _ in range(2)])
    path.write_bytes(b'RIFF' + struct.pack('<I', 36 + len(data)) + b'WAVEfmt ' + struct.pack('<IHHIIHH', 16, 3, 2, 44100, 352800, 8, 32)
                     + b'data' + struct.pack('<I', len(data)) + data)


def spectrogram(folder):
    if run(PYTHON, '-c', 'import numpy')[0] != 0:
        sys.exit(77)
    tone = lambda hz: [0.3 * math.sin(2 * math.pi * hz * i / 44100) for i in range(44100)]
    write_wav(folder / 'song.vocals.wav', tone(2000))
    write_wav(folder / 'song.instrumental.wav', tone(200))
    status, _, error = run(PYTHON, MODELS / 'spectrogram.py', folder / 'song', folder / 'picture', '0.1', '0.8')
    check(status == 0, error)
    import zlib
    brightest = {}
    for name in ('mixture', 'vocals', 'instrumental'):
        png = (folder / f'picture-{name}.png').read_bytes()
        width, height = struct.unpack('>II', png[16:24])
        at = png.index(b'IDAT')
        rows = zlib.decompress(png[at + 4:at + 4 + struct.unpack('>I', png[at - 4:at])[0]])
        middle = [rows[y * (width + 1) + width // 2] for y in range(height)]
        brightest[name] = [60 * (16000 / 60) ** (1 - (y + 0.5) / height) for y in range(height) if middle[y] > 0.8 * 63]
    near = lambda name, hz: any(abs(f / hz - 1) < 0.05 for f in brightest[name])
    check(near('vocals', 2000) and not near('vocals', 200), f'voice at {brightest["vocals"]} Hz')
    check(near('instrumental', 200) and not near('instrumental', 2000), f'band at {brightest["instrumental"]} Hz')
    check(near('mixture', 200) and near('mixture', 2000), f'mixture at {brightest["mixture"]} Hz')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as temporary:
        {'plot_log': plot_log, 'latency_table': latency_table, 'spectrogram': spectrogram}[sys.argv[1]](pathlib.Path(temporary))
