#!/usr/bin/env python3
"""Pictures of a separation: spectrograms of the mixture, the voice and the band, 60 Hz to 16 kHz on a logarithmic axis.

spectrogram.py STEMS/SONG OUT/PREFIX [START_S [SECONDS]] -> OUT/PREFIX-mixture.png, -vocals.png, -instrumental.png
of STEMS/SONG.vocals.wav and STEMS/SONG.instrumental.wav, which `bsmamba2 separate SONG --format wav -o STEMS` writes and whose sum
is the mixture. Needs Debian's python3-numpy (run it with /usr/bin/python3).
"""
import struct, sys, zlib
import numpy as np

WIDTH, HEIGHT, LEVELS = 860, 200, 64
LOW_HZ, HIGH_HZ, RANGE_DB = 60.0, 16000.0, 70.0
WINDOW = 4096
# Dark to bright, evenly rising in lightness: (share of the range, red, green, blue).
COLOURS = [(0, 8, 6, 24), (0.3, 76, 22, 108), (0.55, 168, 44, 96), (0.8, 238, 120, 48), (1, 252, 244, 180)]


def read_wav(path):
    """32-bit float WAV -> (rate in Hz, samples [frames, channels])."""
    data = open(path, 'rb').read()
    if data[:4] != b'RIFF' or data[8:12] != b'WAVE':
        sys.exit(f'spectrogram: {path} is no WAV file')
    at, chunks = 12, {}
    while at + 8 <= len(data):
        size = struct.unpack('<I', data[at + 4:at + 8])[0]
        chunks[data[at:at + 4]] = data[at + 8:at + 8 + size]
        at += 8 + size + size % 2
    kind, channels, rate, _, _, bits = struct.unpack('<HHIIHH', chunks[b'fmt '][:16])
    if kind not in (3, 0xFFFE) or bits != 32:
        sys.exit(f'spectrogram: {path} is not 32-bit float; write it with `bsmamba2 separate --format wav`')
    return rate, np.frombuffer(chunks[b'data'], '<f4').reshape(-1, channels)


def spectrogram(samples, rate):
    """Power in dB, [HEIGHT, WIDTH], the highest frequency first: the mean over each pixel's bins, interpolated where it has none."""
    mono = np.pad(samples.mean(axis=1), WINDOW // 2)
    starts = np.linspace(0, len(mono) - WINDOW, WIDTH).astype(int)
    frames = np.stack([mono[s:s + WINDOW] for s in starts]) * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2 / WINDOW  # [WIDTH, bins]
    edges = np.geomspace(HIGH_HZ, LOW_HZ, HEIGHT + 1) * WINDOW / rate
    bins = np.arange(power.shape[1])
    rows = []
    for high, low in zip(edges[:-1], edges[1:]):
        inside = power[:, int(np.ceil(low)):int(np.ceil(high))]
        middle = (high + low) / 2
        rows.append(inside.mean(axis=1) if inside.shape[1] else
                    power[:, int(middle)] * (1 - middle % 1) + power[:, int(middle) + 1] * (middle % 1))
    return 10 * np.log10(np.stack(rows) + 1e-12)


def write_png(path, pixels):
    """pixels: [rows, columns], values below LEVELS, by the palette."""
    place = np.linspace(0, 1, LEVELS)
    stops = np.array(COLOURS)
    palette = np.stack([np.interp(place, stops[:, 0], stops[:, c]) for c in (1, 2, 3)], axis=1).round().astype(np.uint8)
    rows = np.pad(pixels.astype(np.uint8), ((0, 0), (1, 0)))  # each row begins with its filter: none
    chunk = lambda name, body: struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', pixels.shape[1], pixels.shape[0], 8, 3, 0, 0, 0))
                   + chunk(b'PLTE', palette.tobytes()) + chunk(b'IDAT', zlib.compress(rows.tobytes(), 9)) + chunk(b'IEND', b''))
    print(f'wrote {path}')


def main():
    if not 3 <= len(sys.argv) <= 5:
        sys.exit(__doc__.strip())
    song, out = sys.argv[1:3]
    start, seconds = (float(a) for a in (sys.argv[3:] + ['0', '20'][len(sys.argv) - 3:]))
    rate, vocals = read_wav(song + '.vocals.wav')
    _, instrumental = read_wav(song + '.instrumental.wav')
    part = slice(int(start * rate), int((start + seconds) * rate))
    stems = {'vocals': vocals[part], 'instrumental': instrumental[part]}
    if len(stems['vocals']) <= WINDOW:
        sys.exit(f'spectrogram: {song} has no sound from {start:g} s on')
    pictures = {name: spectrogram(samples, rate) for name, samples in {'mixture': sum(stems.values()), **stems}.items()}
    top = np.percentile(pictures['mixture'], 99.9)  # one scale for all three
    for name, db in pictures.items():
        shade = ((db - top) / RANGE_DB + 1).clip(0, 1)
        write_png(f'{out}-{name}.png', (shade * (LEVELS - 1)).round())


if __name__ == '__main__':
    main()
