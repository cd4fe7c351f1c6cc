#!/usr/bin/env python3
"""Writes the seeds of the fuzz corpus beside this file; PyTorch's seeds are copies of tests/fixtures.

Names begin with good- (the reader must read it) or bad- (it must refuse it with a sentence), after pickle- where the
file is only the pickle of an archive: io_test checks that.
"""
import json
import pathlib
import pickle
import shutil
import struct

here = pathlib.Path(__file__).parent


def safetensors(header, data=b''):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(',', ':')).encode()
    return struct.pack('<Q', len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


seeds = {
    'good-types': safetensors({'__metadata__': {'config': '{"dim":32}'}, 'a.weight': tensor('F32', [2, 1], 0, 8),
                               'b': tensor('F16', [2], 8, 12), 'c': tensor('BF16', [], 12, 14),
                               'd': tensor('I64', [1], 14, 22), 'e': tensor('BOOL', [2], 22, 24),
                               'f': tensor('U8', [0, 3], 24, 24), 'g': tensor('F64', [1], 24, 32)}, bytes(range(32))),
    'good-empty': safetensors({}),
    'good-padded': safetensors(b'{"a\\u00e4":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}   ', b'x'),
    'bad-hole': safetensors({'a': tensor('U8', [1], 1, 2)}, b'xy'),
    'bad-overflow': safetensors({'a': tensor('F32', [2**62], 0, 0)}),
    'bad-twice': safetensors(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'),
    'bad-deep': safetensors(b'{"a":' + b'[' * 200),
    'bad-length': struct.pack('<Q', 2**64 - 1) + b'{}',
}
for name, content in seeds.items():
    (here / 'corpus' / 'safetensors' / name).write_bytes(content)

archives = here / 'corpus' / 'torch_archive'
for name, fixture in {'good-plain': 'torch_plain.pt', 'good-protocol4': 'torch_protocol4.pt',
                      'good-parameters': 'torch_parameters.pt', 'good-lightning': 'torch_lightning.ckpt',
                      'bad-module': 'torch_whole_module.pt', 'bad-expanded': 'torch_expanded.pt'}.items():
    shutil.copyfile(here.parent / 'fixtures' / fixture, archives / name)


# Bare pickles: the target puts each input into a correct archive as well. `archive/data/0` has six floats.
def storage(key, elements):
    return b'(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0' + key + b'X\x03\0\0\0cpuK' + bytes([elements]) + b'tQ'


def rebuilt(shape, strides, offset=0):
    return (b'ctorch._utils\n_rebuild_tensor_v2\n(' + storage(b'0', 6) + b'K' + bytes([offset]) +
            b'(' + b''.join(b'K' + bytes([n]) for n in shape) + b't(' +
            b''.join(b'K' + bytes([n]) for n in strides) + b't\x89}tR')


pickles = {
    'pickle-good-views': b'\x80\x02}(X\x01\0\0\0a' + rebuilt([2, 3], [3, 1]) + b'X\x01\0\0\0b' + rebuilt([3, 2], [1, 3]) +
                        b'X\x01\0\0\0c' + rebuilt([], [], 5) + b'u.',
    'pickle-good-lightning': b'\x80\x02}X\x0a\0\0\0state_dict}X\x07\0\0\0model.w' + rebuilt([6], [1]) + b'ss.',
    'pickle-bad-cycle': b'\x80\x02}q\0X\x0a\0\0\0state_dicth\0s.',
    'pickle-bad-command': b'\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.',
    'pickle-bad-kinds': pickle.dumps({'a': [1, 2.5, None, True, 2**70, b'x', {1}, frozenset([2])], 'b': ('c',) * 5}, 4),
}
for name, content in pickles.items():
    (archives / name).write_bytes(content)
