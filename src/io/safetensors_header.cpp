// A SAX reader rather than a document: a document forgets names that stand twice and may need many times the
// memory of the text, whereas here a wrong header ends at its first wrong token.
#include "io/safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"

namespace bsm {
namespace {

using nlohmann::json;

constexpr size_t kMaxDimensions = 64;

class HeaderSax : public nlohmann::json_sax<json> {
 public:
  explicit HeaderSax(const std::string& file) : file_(file) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(size_t) override {
    switch (state_) {
      case State::kStart:
        state_ = State::kNames;
        return true;
      case State::kEntry:
        state_ = in_metadata_ ? State::kMetadataKeys : State::kFields;
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool end_object() override {
    switch (state_) {
      case State::kNames:
        state_ = State::kEnd;
        return true;
      case State::kMetadataKeys:
        state_ = State::kNames;
        return true;
      case State::kFields:
        if (!has_dtype_ || !has_shape_ || !has_offsets_)
          fail("the tensor " + tensor_.name + " lacks its dtype, shape or data_offsets");
        header_.tensors.push_back(std::move(tensor_));
        state_ = State::kNames;
        return true;
      default:
        return unexpected("the end of an object");
    }
  }

  bool key(std::string& text) override {
    switch (state_) {
      case State::kNames:
        return start_entry(text);
      case State::kMetadataKeys:
        if (header_.metadata.count(text)) fail("its metadata names " + text + " twice");
        key_ = text;
        state_ = State::kMetadataValue;
        return true;
      case State::kFields:
        return start_field(text);
      default:
        return unexpected("a key");
    }
  }

  bool string(std::string& text) override {
    if (state_ == State::kMetadataValue) {
      header_.metadata.emplace(key_, text);
      state_ = State::kMetadataKeys;
      return true;
    }
    if (state_ != State::kDtype) return unexpected("a string");
    tensor_.dtype = dtype_of(text);
    has_dtype_ = true;
    state_ = State::kFields;
    return true;
  }

  bool start_array(size_t) override {
    if (state_ == State::kShape)
      state_ = State::kShapeItems;
    else if (state_ == State::kOffsets)
      state_ = State::kOffsetItems;
    else
      return unexpected("a list");
    return true;
  }

  bool end_array() override {
    if (state_ == State::kShapeItems)
      has_shape_ = true;
    else if (state_ == State::kOffsetItems && offsets_read_ == 2)
      has_offsets_ = true;
    else
      fail("data_offsets of the tensor " + tensor_.name + " are not two numbers");
    state_ = State::kFields;
    return true;
  }

  bool number_unsigned(uint64_t value) override {
    if (state_ == State::kShapeItems) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        fail("the tensor " + tensor_.name + " has a size that no memory can hold");
      if (tensor_.shape.size() == kMaxDimensions)
        fail("the tensor " + tensor_.name + " has too many dimensions");
      tensor_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (state_ != State::kOffsetItems || offsets_read_ == 2) return unexpected("a number");
    (offsets_read_++ == 0 ? tensor_.begin : tensor_.end) = value;
    return true;
  }

  bool number_integer(int64_t) override { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { return unexpected("a number that is not whole"); }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool binary(json::binary_t&) override { return unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail("it is no valid JSON at byte " + std::to_string(position));
  }

 private:
  enum class State {
    kStart,
    kNames,
    kEntry,
    kMetadataKeys,
    kMetadataValue,
    kFields,
    kDtype,
    kShape,
    kShapeItems,
    kOffsets,
    kOffsetItems,
    kEnd
  };

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorCode::kWrongType, "The safetensors header of " + file_ + " is wrong: " + reason +
                                           ". Copy or download the file again.");
  }

  bool unexpected(const char* what) const {
    fail(std::string("it has ") + what + " where the format allows none" +
         (tensor_.name.empty() ? "" : ", at or after the tensor " + tensor_.name));
  }

  bool start_entry(const std::string& name) {
    if (!names_.insert(name).second) fail("it names " + name + " twice");
    in_metadata_ = name == "__metadata__";
    tensor_ = {};
    if (!in_metadata_) tensor_.name = name;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    offsets_read_ = 0;
    state_ = State::kEntry;
    return true;
  }

  bool start_field(const std::string& field) {
    if (field == "dtype" && !has_dtype_)
      state_ = State::kDtype;
    else if (field == "shape" && !has_shape_)
      state_ = State::kShape;
    else if (field == "data_offsets" && !has_offsets_)
      state_ = State::kOffsets;
    else
      fail("the tensor " + tensor_.name + " has a field " + field + " that is unknown or stands twice");
    return true;
  }

  DType dtype_of(const std::string& name) const {
    for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32,
                              DType::kI16, DType::kI8, DType::kU8, DType::kBool})
      if (name == dtype_name(dtype)) return dtype;
    throw Error(ErrorCode::kWrongType, "The tensor " + tensor_.name + " of " + file_ +
                                           " has the element type " + name +
                                           ", which is not supported. Convert it to F32, F16 or BF16.");
  }

  const std::string& file_;
  SafetensorsHeader header_;
  std::unordered_set<std::string> names_;
  State state_ = State::kStart;
  SafetensorsHeader::Tensor tensor_;
  std::string key_;
  bool in_metadata_ = false, has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  int offsets_read_ = 0;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file) {
  HeaderSax sax(file);
  json::sax_parse(text.begin(), text.end(), &sax);
  return sax.take();
}

}  // namespace bsm
