// PyTorch's zip archives (torch.save since PyTorch 1.6: .ckpt, .pt, .pth): a pickle of the objects, data.pkl,
// and one stored entry per storage, data/KEY. The pickle is read by io/pickle.h, which runs nothing.
#pragma once

#include <cstddef>
#include <string>

#include "io/byte_source.h"
#include "io/checkpoint.h"

namespace bsm {

/// The tensors of the state dictionary in `file`: the saved dictionary itself (plain), or what it holds under
/// `state_dict` (Lightning). There, when names have the prefix `model.`, it is removed and entries without
/// it, which belong to other parts of the training, are left out. Values that are no tensors are left out
/// with a message. Throws Error: kOpenRead, kWrongType, kOutOfMemory.
Checkpoint read_torch_archive(const ByteSource& file);

/// The same from memory that the caller keeps alive (tests, fuzzing). `name` appears in messages.
Checkpoint parse_torch_archive(const std::byte* data, size_t size, const std::string& name);

}  // namespace bsm
