#!/usr/bin/env python3
"""Averages the weights of models that were trained from one another ("model soup", Wortsman et al. 2022, arXiv 2203.05482).

average.py OUT.safetensors IN.safetensors... -> the mean of all tensors, F16; the configuration is the first's; what its metadata says
of its training (steps, seconds, score) is left out.
All must have the same tensors. Needs Debian's python3-numpy (run it with /usr/bin/python3).
"""
import json, struct, sys
import numpy as np


def read(path):
    data = open(path, 'rb').read()
    size = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop('__metadata__', {})
    types = {'F16': '<f2', 'F32': '<f4', 'F64': '<f8'}
    tensors = {}
    for name, entry in header.items():
        if entry['dtype'] not in types:
            sys.exit(f'average: {path}: {name} is {entry["dtype"]}; convert the file with `bsmamba2 convert --dtype f32` first')
        begin, end = entry['data_offsets']
        values = np.frombuffer(data[8 + size + begin:8 + size + end], types[entry['dtype']])
        tensors[name] = values.reshape(entry['shape']).astype(np.float64)
    return metadata, tensors


def write(path, metadata, tensors):
    header, blobs, at = {'__metadata__': metadata}, [], 0
    for name, values in tensors.items():
        blob = values.astype('<f2').tobytes()
        header[name] = {'dtype': 'F16', 'shape': list(values.shape), 'data_offsets': [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as out:
        out.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    metadata, mean = read(sys.argv[2])
    for path in sys.argv[3:]:
        tensors = read(path)[1]
        if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in mean.items()}:
            sys.exit(f'average: {path} does not have the tensors of {sys.argv[2]}')
        mean = {name: values + tensors[name] for name, values in mean.items()}
    count = len(sys.argv) - 2
    metadata = {key: value for key, value in metadata.items() if not key.startswith(('training_', 'validation_'))}
    metadata['average_of_models'] = str(count)
    write(sys.argv[1], metadata, {name: values / count for name, values in mean.items()})


if __name__ == '__main__':
    main()
