#!/usr/bin/env python3
"""Makes song folders of the songs of "Everything is Remixed" (ichbinsoftware, CC0) that do not validate.

remixed.py CHECKOUT OUT

CHECKOUT is a working tree of github.com/ichbinsoftware/everythingisremixed (prepare.sh makes one of the four folders). OUT/<song>/ gets
vocals.flac, the sum of the VOX and BGVOX stems, and accompaniment.flac, the sum of all others. The validation songs are songs 3, 4 and 5
of the same artist and are not read. A stem of which only the copy for telephones is there is taken from that.
Needs faad and Debian's python3-numpy, python3-scipy, python3-soundfile (run it with /usr/bin/python3).
"""
import os, pathlib, subprocess, sys, tempfile
import numpy as np, soundfile as sf
from scipy.signal import resample_poly

RATE = 44100
SONGS = ('1.Hydrogen', '2.Lithium', '6.Caesium', '7.Francium')
PHONE = '_mobile'


def stems_of(folder):
    """{name of the stem: path}, the better copy of each."""
    stems = {}
    for path in sorted(folder.glob('*_Stem_*.m4a')):
        name = path.stem.split('_Stem_', 1)[1]
        if path.stat().st_size == 0:
            continue
        if not name.endswith(PHONE):
            stems[name] = path
        else:
            stems.setdefault(name.removesuffix(PHONE), path)
    return stems


def read(path, wav):
    subprocess.run(['faad', '-q', '-o', wav, path], check=True, stderr=subprocess.DEVNULL)
    audio, rate = sf.read(wav, dtype='float32', always_2d=True)
    if audio.shape[1] == 1:
        audio = np.repeat(audio, 2, axis=1)
    divisor = np.gcd(rate, RATE)
    return resample_poly(audio, RATE // divisor, rate // divisor, axis=0)


def added(a, b):
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    longer = longer.copy()
    longer[:len(shorter)] += shorter
    return longer


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    checkout, out = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as temporary:
        wav = os.path.join(temporary, 'stem.wav')
        for song in SONGS:
            stems = stems_of(checkout / 'src' / song)
            if not any('VOX' in name for name in stems):
                sys.exit(f'remixed: no voice (src/{song}/*_Stem_*VOX*.m4a) in {checkout}; expected a working tree of '
                         'github.com/ichbinsoftware/everythingisremixed')
            sums = {'vocals': np.zeros((0, 2), 'float32'), 'accompaniment': np.zeros((0, 2), 'float32')}
            for name, path in sorted(stems.items()):
                role = 'vocals' if 'VOX' in name else 'accompaniment'
                sums[role] = added(sums[role], read(path, wav))
            length = max(map(len, sums.values()))
            sums = {role: np.pad(audio, ((0, length - len(audio)), (0, 0))) for role, audio in sums.items()}
            loudest = max(np.abs(sum(sums.values())).max(), *(np.abs(audio).max() for audio in sums.values()))
            folder = out / song.split('.')[1].lower()
            folder.mkdir(parents=True, exist_ok=True)
            for role, audio in sums.items():
                sf.write(folder / f'{role}.flac', audio * min(1, 0.9 / loudest), RATE, subtype='PCM_16')
            print(f'{folder.name}: {length / RATE:.0f} s, {len(stems)} stems')


if __name__ == '__main__':
    main()
