// Model files of every layout behind one list of named tensors: safetensors, and PyTorch archives (plain
// dictionary, Lightning checkpoint). A model file is data: nothing in it is ever executed, and sizes are
// checked before allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bsm {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

/// Bytes of one element.
size_t dtype_size(DType dtype);
/// "F32", "BF16", ... as safetensors spells them.
const char* dtype_name(DType dtype);

/// A named tensor inside a file: contiguous, row-major, little-endian. `data` is not necessarily aligned and
/// lives as long as the Checkpoint.
struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;
  size_t bytes = 0;

  int64_t elements() const;
  /// Element values converted to float (f64, f32, f16, bf16 and integers).
  std::vector<float> to_float() const;
};

enum class CheckpointLayout { kSafetensors, kTorchPlain, kTorchLightning };
const char* layout_name(CheckpointLayout layout);

class Checkpoint {
 public:
  CheckpointLayout layout() const { return layout_; }
  /// In the order of the file, names without the layout's prefix ("model." of Lightning files).
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  /// Null when there is none.
  const TensorEntry* find(const std::string& name) const;
  /// safetensors' __metadata__; empty for PyTorch archives.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }

  /// Reads by content, not by name. Throws Error: kNotFound, kOpenRead, kWrongType.
  static Checkpoint open(const std::string& path);

 private:
  friend class SafetensorsReader;
  friend class TorchArchiveReader;
  CheckpointLayout layout_ = CheckpointLayout::kSafetensors;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
  std::string path_;
  std::vector<std::shared_ptr<const void>> owners_;  // of what the tensors point into
};

}  // namespace bsm
