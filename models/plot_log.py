#!/usr/bin/env python3
"""Draws the log of a training as an SVG picture: loss, learning rate, and the validation scores.

plot_log.py LOG.csv [OUT.svg] -> OUT.svg (default: LOG.svg). Needs Python alone.
"""
import csv, math, sys
from html import escape

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 860, 230, 66, 24, 34, 56
PANELS = [  # title, logarithmic, {column: (name, colour)}
    ('loss', True, {'loss': ('loss', '#1f5fa8')}),
    ('validation uSDR, dB', False, {'vocals_usdr_db': ('vocals', '#b5302a'), 'instrumental_usdr_db': ('instrumental', '#2b7d3a')}),
    ('learning rate', False, {'learning_rate': ('learning rate', '#6a4ba0')}),
]


def read(path):
    """{column: [(step, value)]}; a score is one point per validation, though the log repeats it until the next."""
    columns = {name: [] for _, _, lines in PANELS for name in lines}
    try:
        with open(path, newline='') as file:
            for row in csv.DictReader(file):
                for name, points in columns.items():
                    if row.get(name):
                        value = float(row[name])
                        if not (name.endswith('_db') and points and points[-1][1] == value):
                            points.append((int(row['step']), value))
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f'plot_log: {path} is not a log.csv of `bsmamba2 train`: {error}')
    if not columns['loss']:
        sys.exit(f'plot_log: {path} has no rows with a step and a loss')
    return columns


def ticks(low, high, count=5):
    """Round values between low and high."""
    raw = (high - low) / count
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * f for f in (1, 2, 2.5, 5, 10) if unit * f >= raw * 0.999)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def panel(title, logarithmic, lines, columns, last_step, top):
    values = [v for name in lines for _, v in columns[name]]
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1
    if not logarithmic:
        low, high = low - margin, high + margin
    else:
        low, high = low * 0.97, high * 1.03
    scale = math.log if logarithmic else float
    x = lambda step: LEFT + step / last_step * (WIDTH - LEFT - RIGHT)
    y = lambda value: top + (scale(high) - scale(value)) / (scale(high) - scale(low)) * PANEL
    out = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}" fill="none" stroke="#999"/>',
           f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{escape(title)}</text>']
    for value in ticks(low, high):
        if low <= value <= high and (value > 0 or not logarithmic):
            out.append(f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}" stroke="#ddd"/>'
                       f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for step in ticks(0, last_step):
        out.append(f'<text x="{x(step):.1f}" y="{top + PANEL + 18}" text-anchor="middle">{step:g}</text>')
    for place, (name, (label, colour)) in enumerate(lines.items()):
        points = columns[name]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="'
                   + ' '.join(f'{x(s):.1f},{y(v):.1f}' for s, v in points) + '"/>')
        if name.endswith('_db'):
            out += [f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="2.2" fill="{colour}"/>' for s, v in points]
        if len(lines) > 1:
            best = max(v for _, v in points)
            out.append(f'<text x="{WIDTH - RIGHT - 230 * (len(lines) - 1 - place)}" y="{top - 10}" text-anchor="end" '
                       f'fill="{colour}">{escape(label)} (best {best:.2f} dB)</text>')
    return out


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__.strip())
    path = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else path.removesuffix('.csv') + '.svg'
    columns = read(path)
    shown = [(title, logarithmic, {name: line for name, line in lines.items() if columns[name]}) for title, logarithmic, lines in PANELS]
    shown = [panel_ for panel_ in shown if panel_[2]]
    last_step = max(1, columns['loss'][-1][0])
    height = TOP + len(shown) * (PANEL + GAP)
    body = []
    for place, (title, logarithmic, lines) in enumerate(shown):
        body += panel(title, logarithmic, lines, columns, last_step, TOP + place * (PANEL + GAP))
    body.append(f'<text x="{WIDTH - RIGHT}" y="{height - 16}" text-anchor="end">optimizer steps</text>')
    with open(out, 'w') as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">\n'
                   f'<rect width="100%" height="100%" fill="white"/>\n' + '\n'.join(body) + '\n</svg>\n')
    print(f'wrote {out}')


if __name__ == '__main__':
    main()
