#include "io/torch_archive.h"

#include <cstring>
#include <map>

#include "core/error.h"
#include "core/log.h"
#include "io/pickle.h"
#include "io/tensor_data.h"
#include "io/zip.h"

namespace bsm {
namespace {

using Id = PickleGraph::Id;
using Kind = PickleGraph::Kind;

constexpr std::string_view kPickleName = "data.pkl";
constexpr std::string_view kLightningPrefix = "model.";

[[noreturn]] void fail(const std::string& file, const std::string& reason) {
  throw Error(ErrorCode::kWrongType, file + " cannot be used as a checkpoint: " + reason + ".");
}

/// The folder inside of the archive, with its slash: torch.save names it after the file or "archive".
std::string find_prefix(const ZipArchive& zip, const std::string& file) {
  const std::string* found = nullptr;
  std::string prefix;
  for (const auto& [name, entry] : zip.entries()) {
    if (!name.ends_with(kPickleName)) continue;
    const std::string_view folder = name.substr(0, name.size() - kPickleName.size());
    if (!folder.empty() && folder.find('/') != folder.size() - 1) continue;
    if (found) fail(file, "its zip file has more than one " + std::string(kPickleName));
    prefix = folder;
    found = &prefix;
  }
  if (!found)
    fail(file,
         "it is a zip file, but not one that torch.save wrote, as it has no " + std::string(kPickleName));
  return prefix;
}

std::string_view text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data.get()), bytes.size};
}

/// The first string keys of a dictionary, for messages.
std::string some_keys(const PickleGraph& graph, Id dict) {
  constexpr size_t kMost = 8;
  std::string out;
  const std::vector<Id>& pairs = graph.items(dict);
  for (size_t i = 0; i < pairs.size() && i < 2 * kMost; i += 2)
    if (graph.kind(pairs[i]) == Kind::kString)
      out += (out.empty() ? "" : ", ") + std::string(graph.string(pairs[i]).substr(0, 60));
  return pairs.size() > 2 * kMost ? out + ", ..." : out;
}

bool holds_tensors(const PickleGraph& graph, Id dict) {
  const std::vector<Id>& pairs = graph.items(dict);
  for (size_t i = 1; i < pairs.size(); i += 2)
    if (graph.kind(pairs[i]) == Kind::kTensor) return true;
  return false;
}

/// Tensors of an archive as contiguous memory: in place in their storage where they are, else copied.
class TensorReader {
 public:
  TensorReader(const ZipArchive& zip, std::string prefix, const PickleGraph& graph, const std::string& file,
               size_t file_bytes)
      : zip_(zip), prefix_(std::move(prefix)), graph_(graph), file_(file), copy_budget_(file_bytes) {}

  TensorEntry read(const std::string& name, Id id) {
    const PickleGraph::Tensor& tensor = graph_.tensor(id);
    const PickleGraph::Storage& storage = graph_.storage(tensor.storage);
    if (!storage.dtype)
      fail(file_, "its tensor " + name + " is a " + std::string(storage.class_name) +
                      ", an element type that is not supported; convert it to float32");
    const size_t element_bytes = dtype_size(*storage.dtype);
    const std::byte* const data = storage_data(name, storage);

    const auto elements = shape_elements(tensor.shape);
    const auto bytes = elements ? tensor_bytes(*elements, *storage.dtype) : std::nullopt;
    if (!bytes || !inside(tensor, *elements, storage.elements))
      fail(file_, "its tensor " + name + " reaches outside of its storage of " +
                      std::to_string(storage.elements) + " elements; the file is damaged");
    TensorEntry entry{name, *storage.dtype, tensor.shape, nullptr, static_cast<size_t>(*bytes)};
    if (*elements == 0 || contiguous(tensor))
      entry.data = *elements == 0 ? data : data + static_cast<size_t>(tensor.offset) * element_bytes;
    else
      entry.data = copy_contiguous(name, tensor, data, element_bytes, entry.bytes);
    return entry;
  }

  std::vector<std::shared_ptr<const void>> take_owners() { return std::move(owners_); }

 private:
  const std::byte* storage_data(const std::string& name, const PickleGraph::Storage& storage) {
    const ZipArchive::Entry* entry = zip_.find(prefix_ + "data/" + std::string(storage.key));
    if (!entry) fail(file_, "the data of its tensor " + name + " are missing; the file is damaged");
    const auto bytes = tensor_bytes(storage.elements, *storage.dtype);
    if (!bytes || static_cast<uint64_t>(*bytes) > entry->size)
      fail(file_, "the storage of its tensor " + name + " should have " + std::to_string(storage.elements) +
                      " elements, but has " + std::to_string(entry->size) + " bytes; the file is damaged");
    const auto [loaded, is_new] = storages_.emplace(entry, nullptr);
    if (!is_new) return loaded->second;
    const Bytes content = zip_.read(*entry);
    loaded->second = content.data.get();
    owners_.push_back(content.data);
    // torch.save can be told to write no checksums, so a wrong one is no proof of damage.
    if (!ZipArchive::checksum_matches(*entry, content))
      log(LogLevel::kWarning,
          "The checksum of the tensor " + name + " in " + file_ +
              " is wrong: the file may be damaged. Compare its SHA-256 with the publisher's.");
    return loaded->second;
  }

  static bool inside(const PickleGraph::Tensor& tensor, int64_t elements, int64_t storage_elements) {
    if (tensor.offset < 0) return false;
    if (elements == 0) return true;
    int64_t last = tensor.offset;
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
      int64_t reach = 0;
      if (tensor.strides[d] < 0 || __builtin_mul_overflow(tensor.shape[d] - 1, tensor.strides[d], &reach) ||
          __builtin_add_overflow(last, reach, &last))
        return false;
    }
    return last < storage_elements;
  }

  static bool contiguous(const PickleGraph::Tensor& tensor) {
    int64_t expected = 1;
    for (size_t d = tensor.shape.size(); d-- > 0;) {
      if (tensor.shape[d] != 1 && tensor.strides[d] != expected) return false;
      expected *= tensor.shape[d];
    }
    return true;
  }

  const std::byte* copy_contiguous(const std::string& name, const PickleGraph::Tensor& tensor,
                                   const std::byte* data, size_t element_bytes, size_t bytes) {
    // Strides of 0 and shared storages let a small file describe any amount of memory.
    if (bytes > copy_budget_)
      fail(file_, "its tensor " + name +
                      " and others repeat the same data under several indices, to more than the "
                      "file's size; save contiguous tensors");
    copy_budget_ -= bytes;
    const auto copy = std::make_shared<std::vector<std::byte>>(bytes);
    owners_.push_back(copy);
    std::vector<int64_t> index(tensor.shape.size(), 0);
    int64_t source = tensor.offset;
    for (std::byte* out = copy->data(); out != copy->data() + bytes; out += element_bytes) {
      std::memcpy(out, data + static_cast<size_t>(source) * element_bytes, element_bytes);
      for (size_t d = index.size(); d-- > 0;) {  // the next index in row-major order
        source += tensor.strides[d];
        if (++index[d] < tensor.shape[d]) break;
        source -= tensor.strides[d] * tensor.shape[d];
        index[d] = 0;
      }
    }
    return copy->data();
  }

  const ZipArchive& zip_;
  const std::string prefix_;
  const PickleGraph& graph_;
  const std::string& file_;
  size_t copy_budget_;
  std::map<const ZipArchive::Entry*, const std::byte*> storages_;
  std::vector<std::shared_ptr<const void>> owners_;
};

}  // namespace

/// Fills a Checkpoint, whose members only the two readers may set.
class TorchArchiveReader {
 public:
  static Checkpoint read(const ByteSource& file) {
    const std::string& name = file.name();
    const ZipArchive zip(file);
    const std::string prefix = find_prefix(zip, name);
    if (zip.find(prefix + "constants.pkl"))
      fail(name, "it is a TorchScript program (torch.jit.save). Save its state_dict() with torch.save");
    if (const auto* order = zip.find(prefix + "byteorder");
        order && text(zip.read(*order)).starts_with("big"))
      fail(name, "it was written on a big-endian machine. Load and save it on a little-endian one");
    const Bytes pickle = zip.read(*zip.find(prefix + std::string(kPickleName)));
    const PickleGraph graph = read_pickle(text(pickle), name);

    Checkpoint checkpoint;
    checkpoint.path_ = name;
    const Id dict = find_state_dict(graph, name, checkpoint.layout_);
    TensorReader reader(zip, prefix, graph, name, file.size());
    checkpoint.tensors_ = read_tensors(graph, dict, checkpoint.layout_, name, reader);
    checkpoint.owners_ = reader.take_owners();
    return checkpoint;
  }

 private:
  static Id find_state_dict(const PickleGraph& graph, const std::string& file, CheckpointLayout& layout) {
    const Id root = graph.root();
    if (graph.kind(root) != Kind::kDict)
      fail(file,
           "what it holds is no dictionary of tensors; save model.state_dict() with torch.save, not the "
           "model");
    const auto inner = graph.lookup(root, "state_dict");
    if (inner && graph.kind(*inner) == Kind::kDict) {
      layout = CheckpointLayout::kTorchLightning;
      if (holds_tensors(graph, *inner)) return *inner;
      fail(file, "its state_dict has no tensors");
    }
    layout = CheckpointLayout::kTorchPlain;
    if (!holds_tensors(graph, root))
      fail(file, "it has neither tensors nor a state_dict at its top, but: " + some_keys(graph, root));
    return root;
  }

  static std::vector<TensorEntry> read_tensors(const PickleGraph& graph, Id dict, CheckpointLayout layout,
                                               const std::string& file, TensorReader& reader) {
    const std::vector<Id>& pairs = graph.items(dict);
    const auto name_at = [&](size_t i) {
      return graph.kind(pairs[i]) == Kind::kString ? graph.string(pairs[i]) : std::string_view();
    };
    bool prefixed = false;
    for (size_t i = 0; i < pairs.size(); i += 2)
      prefixed = prefixed ||
                 (layout == CheckpointLayout::kTorchLightning && name_at(i).starts_with(kLightningPrefix));

    std::map<std::string_view, size_t>
        places;  // in Python a key that stands twice keeps its place and the last value
    std::vector<std::pair<std::string_view, Id>> wanted;
    for (size_t i = 0; i < pairs.size(); i += 2) {
      std::string_view name = name_at(i);
      if (graph.kind(pairs[i + 1]) != Kind::kTensor || graph.kind(pairs[i]) != Kind::kString) {
        log(LogLevel::kInfo, "Left out of " + file + ": " + std::string(name) + ", which is no tensor.");
        continue;
      }
      if (prefixed && !name.starts_with(kLightningPrefix)) {
        log(LogLevel::kInfo,
            "Left out of " + file + ": " + std::string(name) + ", which is no part of the model.");
        continue;
      }
      if (prefixed) name.remove_prefix(kLightningPrefix.size());
      const auto [place, is_new] = places.emplace(name, wanted.size());
      if (is_new)
        wanted.emplace_back(name, pairs[i + 1]);
      else
        wanted[place->second].second = pairs[i + 1];
    }
    std::vector<TensorEntry> tensors;
    for (const auto& [name, id] : wanted) tensors.push_back(reader.read(std::string(name), id));
    return tensors;
  }
};

Checkpoint read_torch_archive(const ByteSource& file) { return TorchArchiveReader::read(file); }

Checkpoint parse_torch_archive(const std::byte* data, size_t size, const std::string& name) {
  return read_torch_archive(ByteSource::of_memory(data, size, name));
}

}  // namespace bsm
