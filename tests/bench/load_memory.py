#!/usr/bin/env python3
"""Measures the peak of memory of `bsmamba2 info` (loads) and `bsmamba2 separate` (loads, and packs the weights for the CPU)
on files as large as the public training checkpoint.

Usage: load_memory.py PROGRAM [FOLDER]     PROGRAM: the built `bsmamba2`; FOLDER for the files (1.7 GB), default: a temporary one

safetensors: a network of that size (dim 544). ckpt: the published network in a PyTorch archive as Lightning writes it, with
a moving average and the two moments of Adam beside the weights, which is where most of its bytes go. Peaks include the
program and LibTorch, whose own peak stands in the first line.
"""
import collections
import io
import json
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import types
import wave
import zipfile

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'models' / 'configs'


def peak_mib(*command):
    """Peak resident memory of a program that must succeed, from GNU time."""
    run = subprocess.run(['/usr/bin/time', '-f', '%M', *map(str, command)], capture_output=True, text=True, check=True)
    return int(run.stderr.split()[-1]) / 1024


def random_model(program, config, path):
    config_file = path.with_suffix('.json')
    config_file.write_text(json.dumps(config))
    subprocess.run([program, 'convert', '--random', config_file, path], check=True, stdout=subprocess.DEVNULL)


def fake_torch():
    """The names that a pickle of torch.save refers to; nothing of PyTorch is needed to write them."""
    torch, utils = types.ModuleType('torch'), types.ModuleType('torch._utils')
    torch.FloatStorage = type('FloatStorage', (), {'__module__': 'torch'})

    def _rebuild_tensor_v2():
        raise NotImplementedError

    _rebuild_tensor_v2.__module__ = 'torch._utils'
    _rebuild_tensor_v2.__qualname__ = '_rebuild_tensor_v2'
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = utils
    sys.modules.update({'torch': torch, 'torch._utils': utils})
    return torch


def write_lightning_checkpoint(safetensors, path):
    """The tensors of a float32 safetensors file, four times: as weights, moving average and moments."""
    torch = fake_torch()
    data = safetensors.read_bytes()
    header_bytes, = struct.unpack_from('<Q', data)
    header = json.loads(data[8:8 + header_bytes])
    header.pop('__metadata__', None)
    storages = []

    class Storage:
        def __init__(self, content):
            self.key = str(len(storages))
            storages.append(content)

    class Tensor:
        def __init__(self, content, shape):
            self.storage, self.shape = Storage(content), tuple(shape)

        def __reduce__(self):
            strides = [1]
            for size in reversed(self.shape[1:]):
                strides.insert(0, strides[0] * size)
            return (torch._utils._rebuild_tensor_v2, (self.storage, 0, self.shape, tuple(strides[:len(self.shape)]), False,
                                                      collections.OrderedDict()))

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return ('storage', torch.FloatStorage, value.key, 'cpu', len(storages[int(value.key)]) // 4)
            return None

    def tensors(prefix):
        result = collections.OrderedDict()
        for name, tensor in header.items():
            begin, end = (8 + header_bytes + offset for offset in tensor['data_offsets'])
            result[prefix + name] = Tensor(memoryview(data)[begin:end], tensor['shape'])
        return result

    moments = {i: {'exp_avg': a, 'exp_avg_sq': b}
               for i, (a, b) in enumerate(zip(tensors('').values(), tensors('').values()))}
    checkpoint = {'epoch': 1, 'state_dict': tensors('model.'), 'ema': tensors(''), 'optimizer_states': [{'state': moments}]}
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(checkpoint)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', buffer.getvalue())
        for key, content in enumerate(storages):
            archive.writestr(f'archive/data/{key}', bytes(content))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program = sys.argv[1]
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        folder = pathlib.Path(name)
        paper = json.loads((CONFIGS / 'paper.json').read_text())['model']
        tiny = json.loads((CONFIGS / 'tiny.json').read_text())['model']
        random_model(program, tiny, folder / 'tiny.safetensors')
        random_model(program, paper | {'dim': 544}, folder / 'large.safetensors')
        random_model(program, paper, folder / 'paper.safetensors')
        write_lightning_checkpoint(folder / 'paper.safetensors', folder / 'paper.ckpt')
        song = folder / 'song.wav'
        with wave.open(str(song), 'wb') as out:
            out.setparams((2, 2, 44100, 0, 'NONE', ''))
            out.writeframes(bytes(4 * 4410))
        for file in ('tiny.safetensors', 'large.safetensors', 'paper.ckpt'):
            path = folder / file
            info = peak_mib(program, 'info', path)
            separate = peak_mib(program, 'separate', song, '-o', folder / 'stems', '--device', 'cpu', '--model', path)
            print(f'{file}: {path.stat().st_size / 2**20:.0f} MiB, peak {info:.0f} MiB with info, {separate:.0f} MiB with separate')


if __name__ == '__main__':
    main()
