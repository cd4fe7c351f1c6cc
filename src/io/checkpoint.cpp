#include "io/checkpoint.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"
#include "io/byte_source.h"
#include "io/safetensors.h"
#include "io/torch_archive.h"

namespace bsm {
namespace {

/// What a file that is no model file seems to be; files of these kinds often arrive in place of a model.
std::string guess_kind(std::string_view head) {
  if (head.empty()) return "it is empty. Copy or download it again";
  if (head.starts_with("version https://git-lfs"))
    return "it is a pointer of Git LFS, not the file itself. Run `git lfs pull` in its folder";
  if (head.starts_with("<")) return "it seems to be a web page. Download the file itself";
  if (head.starts_with("\x80\x02") || head.starts_with("\x80\x03") || head.starts_with("\x80\x04"))
    return "it is a bare pickle, as torch.save wrote before PyTorch 1.6. Load and save it again with a later "
           "PyTorch";
  return "it is neither a safetensors file nor a PyTorch archive (.ckpt, .pt, .pth). Give a file of one of "
         "these "
         "formats";
}

}  // namespace

const char* layout_name(CheckpointLayout layout) {
  switch (layout) {
    case CheckpointLayout::kSafetensors:
      return "safetensors";
    case CheckpointLayout::kTorchPlain:
      return "PyTorch archive, plain dictionary";
    case CheckpointLayout::kTorchLightning:
      return "PyTorch archive, Lightning checkpoint";
  }
  throw Error(ErrorCode::kFailed, "A layout outside of CheckpointLayout.");
}

const TensorEntry* Checkpoint::find(const std::string& name) const {
  for (const TensorEntry& tensor : tensors_)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

Checkpoint Checkpoint::open(const std::string& path) {
  constexpr uint64_t kHeadBytes = 64;
  const ByteSource file = ByteSource::open(path);
  const Bytes head_bytes = file.read(0, std::min(kHeadBytes, file.size()));
  const std::string_view head(reinterpret_cast<const char*>(head_bytes.data.get()), head_bytes.size);
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return read_torch_archive(file);
  if (head.size() > 8 && head[8] == '{') return read_safetensors(file);
  throw Error(ErrorCode::kWrongType, path + " is no model file: " + guess_kind(head) + ".");
}

}  // namespace bsm
