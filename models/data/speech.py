#!/usr/bin/env python3
"""Makes voice packs for sing.py, and speech, out of the recorded voices of free games and learning programs.

speech.py PACKAGES VOICES_OUT SPEECH_OUT SEED

PACKAGES holds unpacked Debian packages (speech.sh downloads them): hedgewars-data, klettres-data, tuxpaint-stamps-default. For each
speaker (a voice of Hedgewars, a language of KLettres or Tux Paint):
  VOICES_OUT/<name>.ogg + .tsv   voiced syllables, level evened: start, end, end of consonant, beat (samples), pitch (Hz)
  SPEECH_OUT/<name>_<seed>.flac  the clips one after another with pauses, room and equaliser of sing.py: spoken words and rap are vocals too
Pitch: normalised autocorrelation with the shortest of the good lags, after de Cheveigne and Kawahara (YIN, 2002) in spirit.
Needs Debian's python3-numpy, python3-scipy, python3-numba, python3-soundfile (run it with /usr/bin/python3).
"""
import os, random, re, sys
import numpy as np, soundfile as sf
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt
import sing

RATE = sing.RATE
HOP, FRAME = 441, 2205                      # 10 ms, 50 ms
LOWEST_HZ, HIGHEST_HZ = 70, 520
CLEAR = 0.75                                # least autocorrelation of a voiced frame
SHORTEST_FRAMES, LONGEST_FRAMES = 13, 60    # of a syllable's voiced part
MOST_SYLLABLES = 260
GAP = 882
LEVEL = 0.12                                # RMS of a syllable


def clips_of_speakers(packages):
    """{speaker: [paths]}, sorted. The robot of Hedgewars is no human voice."""
    speakers = {}
    def add(name, folder, pattern):
        for path, _, files in sorted(os.walk(os.path.join(packages, folder))):
            found = [os.path.join(path, f) for f in sorted(files) if re.search(pattern, f)]
            speakers.setdefault(name, []).extend(found)
    voices = 'hedgewars-data/usr/share/games/hedgewars/Data/Sounds/voices'
    for name in sorted(os.listdir(os.path.join(packages, voices))):
        if name != 'Robot':
            add('hedgewars-' + name.lower(), f'{voices}/{name}', r'\.ogg$')
    letters = 'klettres-data/usr/share/klettres'
    for name in sorted(os.listdir(os.path.join(packages, letters))):
        add('klettres-' + name.lower(), f'{letters}/{name}', r'\.(ogg|wav|mp3)$')
    for name in ('be', 'bg', 'ca', 'da', 'el', 'es', 'fr', 'lt', 'ro', 'ru'):
        add('tuxpaint-' + name, 'tuxpaint-stamps-default/usr/share/tuxpaint/stamps', rf'_desc_{name}\.(ogg|wav)$')
    return {name: paths for name, paths in speakers.items() if paths}


def read(path):
    """Mono at 44.1 kHz, or None for what was recorded at less than that."""
    try:
        x, rate = sf.read(path, dtype='float64', always_2d=True)
    except RuntimeError:
        return None
    if rate < RATE or len(x) < 2 * FRAME:
        return None
    x = x.mean(1)
    if rate != RATE:
        divisor = np.gcd(rate, RATE)
        x = resample_poly(x, RATE // divisor, rate // divisor)
    return sosfilt(butter(2, 60, 'highpass', fs=RATE, output='sos'), x)


def pitch_track(x):
    """(f0_hz, clarity, level) of each frame of 50 ms, every 10 ms."""
    low = sosfilt(butter(4, 1000, fs=RATE, output='sos'), x)[::4]
    frame, hop, rate = FRAME // 4, HOP // 4, RATE / 4
    count = max(0, (len(low) - 2 * frame) // hop)
    lags = np.arange(int(rate / HIGHEST_HZ), int(rate / LOWEST_HZ) + 1)
    f0, clarity, level = np.zeros(count), np.zeros(count), np.zeros(count)
    for n in range(count):
        y = low[n * hop:n * hop + 2 * frame]
        head = y[:frame]
        energy = np.concatenate([[0], np.cumsum(y ** 2)])
        products = fftconvolve(y, head[::-1])[frame - 1:2 * frame - 1]
        norm = np.sqrt(energy[frame] * (energy[lags + frame] - energy[lags])) + 1e-12
        r = products[lags] / norm
        peaks = np.flatnonzero((r[1:-1] > r[:-2]) & (r[1:-1] >= r[2:])) + 1
        if not len(peaks) or r[peaks].max() <= 0:
            continue
        first = peaks[r[peaks] >= 0.9 * r[peaks].max()][0]
        f0[n], clarity[n], level[n] = rate / lags[first], r[first], np.sqrt(energy[frame] / frame)
    return f0, clarity, level


def voiced_runs(f0, clarity, level):
    """[(first, end)] frames whose pitch moves less than 8 % a frame; long ones are cut where they are quietest."""
    loud = level > 0.05 * level.max() if len(level) else level
    good = (clarity > CLEAR) & loud
    runs, n = [], 0
    while n < len(good):
        if not good[n]:
            n += 1
            continue
        end = n + 1
        while end < len(good) and good[end] and abs(np.log(f0[end] / f0[end - 1])) < 0.08:
            end += 1
        while end - n > LONGEST_FRAMES:
            cut = n + SHORTEST_FRAMES + int(np.argmin(level[n + SHORTEST_FRAMES:n + LONGEST_FRAMES]))
            runs.append((n, cut))
            n = cut
        if end - n >= SHORTEST_FRAMES:
            runs.append((n, end))
        n = max(end, n + 1)
    return runs


def syllables_of(x):
    """[(samples, end of consonant, beat, f0_hz)] of one clip."""
    f0, clarity, level = pitch_track(x)
    hop = HOP // 4 * 4
    before, out = 0, []
    for first, end in voiced_runs(f0, clarity, level):
        onset, offset = first * hop, min(len(x), end * hop + FRAME)
        start = max(before, onset - int(0.09 * RATE))
        before = offset
        piece = x[start:offset].copy()
        fade = np.linspace(0, 1, 220)
        piece[:220] *= fade
        piece[-220:] *= fade[::-1]
        voiced = x[onset:offset]
        piece *= LEVEL / (np.sqrt((voiced ** 2).mean()) + 1e-9)
        if np.abs(piece).max() < 1.5:
            out.append((piece, onset - start + int(0.03 * RATE), onset - start, float(np.median(f0[first:end]))))
    return out


def write_pack(path, syllables):
    parts, rows, at = [], ['start\tend\tconsonant\tbeat\tpitch_hz'], 0
    for piece, consonant, beat, f0 in syllables:
        rows.append(f'{at}\t{at + len(piece)}\t{consonant}\t{beat}\t{f0:.2f}')
        parts += [piece, np.zeros(GAP)]
        at += len(piece) + GAP
    with sf.SoundFile(path + '.ogg', 'w', RATE, 1, format='OGG', subtype='VORBIS') as out:
        samples = np.clip(np.concatenate(parts), -1, 1).astype(np.float32)
        for n in range(0, len(samples), 65536):  # libsndfile's Vorbis writer overflows its stack on one long write
            out.write(samples[n:n + 65536])
    open(path + '.tsv', 'w').write('\n'.join(rows) + '\n')


def speak(clips, rng):
    """The clips with pauses between, in a room: [samples, 2]."""
    parts = []
    for x in clips:
        parts += [x * LEVEL / (np.sqrt((x ** 2).mean()) + 1e-9), np.zeros(int(RATE * rng.choice([.05, .1, .2, .4, .8, 2.5])))]
    dry = sing.shelf(np.concatenate(parts), rng)
    pan = rng.uniform(-.2, .2)
    out = np.stack([dry * (1 - pan), dry * (1 + pan)], 1)
    ir = sing.room(rng)
    wet = np.stack([fftconvolve(out[:, c], ir[:, c])[:len(out)] for c in range(2)], 1)
    out = out + rng.choice([0, .05, .15, .3]) * wet
    return (out / (np.abs(out).max() + 1e-9) * .7).astype(np.float32)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    packages, voices, speech, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    os.makedirs(voices, exist_ok=True)
    os.makedirs(speech, exist_ok=True)
    for name, paths in clips_of_speakers(packages).items():
        rng = random.Random(f'{seed} {name}')
        rng.shuffle(paths)
        clips, syllables, seconds = [], [], 0.0
        for path in paths:
            x = read(path)
            if x is None or np.abs(x).max() < 1e-3:
                continue
            if seconds < 150:
                clips.append(x)
                seconds += len(x) / RATE
            if len(syllables) < MOST_SYLLABLES:
                syllables += syllables_of(x)
        if len(syllables) < 20:
            continue
        write_pack(os.path.join(voices, name), syllables[:MOST_SYLLABLES])
        sf.write(os.path.join(speech, f'speech_{name}_{seed}.flac'), speak(clips, rng), RATE, subtype='PCM_16')
        pitches = sorted(s[3] for s in syllables)
        print(f'{name}: {len(syllables)} syllables, pitch {pitches[len(pitches) // 2]:.0f} Hz, {seconds:.0f} s of speech', flush=True)


if __name__ == '__main__':
    main()
