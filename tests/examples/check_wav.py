#!/usr/bin/env python3
"""check_wav.py FILE RATE CHANNELS FRAMES PEAK: a 16-bit WAV file is what was expected.

FRAMES: a number, or at-least-N. PEAK: of full scale, within 0.02; or any, but not silence.
"""
import array
import sys
import wave

path, rate, channels, frames, peak = sys.argv[1:]
with wave.open(path) as file:
    samples = array.array('h', file.readframes(1 << 30))
    found = (file.getframerate(), file.getnchannels())
found_frames = len(samples) // found[1]
found_peak = max(map(abs, samples), default=0) / 32768
print(f'{path}: {found_frames} frames, rate and channels {found}, peak {found_peak:.3f}')
assert found == (int(rate), int(channels))
if frames.startswith('at-least-'):
    assert found_frames >= int(frames.removeprefix('at-least-'))
else:
    assert found_frames == int(frames)
assert found_peak > 0.01 if peak == 'any' else abs(found_peak - float(peak)) < 0.02
