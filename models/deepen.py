#!/usr/bin/env python3
"""Makes a deeper model that computes the same as a trained one, to be trained on with `bsmamba2 train --init`.

deepen.py OUT.safetensors IN.safetensors DEPTH -> layers beyond IN's are copies of its last ones whose output matrix ("linear") is zero,
so that each adds nothing to the residual stream until it has learned to. Depth growth as in Net2Net (Chen et al. 2016, arXiv 1511.05641).
Needs Debian's python3-numpy (run it with /usr/bin/python3).
"""
import json, sys
import numpy as np
from average import read, write


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    metadata, tensors = read(sys.argv[2])
    config = json.loads(metadata['config'])
    old, new = config['depth'], int(sys.argv[3])
    if new <= old:
        sys.exit(f'deepen: {sys.argv[2]} has {old} layers already; give a larger depth than that')
    for layer in range(old, new):
        source = f'layers.{old - 1 - (layer - old) % old}.'
        for name in [n for n in tensors if n.startswith(source)]:
            values = tensors[name]
            target = f'layers.{layer}.' + name[len(source):]
            tensors[target] = np.zeros_like(values) if '.linear.' in name else values
    config['depth'] = new
    metadata = {key: value for key, value in metadata.items() if not key.startswith(('training_', 'validation_'))}
    metadata['config'] = json.dumps(config, separators=(',', ':'))
    write(sys.argv[1], metadata, tensors)


if __name__ == '__main__':
    main()
