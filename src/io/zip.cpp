#include "io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/error.h"

namespace bsm {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50, kDirectorySignature = 0x02014b50, kEndSignature = 0x06054b50,
                   kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                 kLocator64Bytes = 20;
constexpr uint16_t kEncryptedFlag = 1, kZip64ExtraId = 1, kStoredMethod = 0;
constexpr uint32_t kSeeZip64 = 0xffffffff;
constexpr uint16_t kSeeZip64Count = 0xffff;
constexpr uint64_t kMaxCommentBytes = 0xffff;
/// Room for a million entries.
constexpr uint64_t kMaxDirectoryBytes = 100'000'000;

/// Where the central directory stands.
struct Directory {
  uint64_t begin = 0, bytes = 0, entries = 0;
};

/// An entry of the central directory.
struct Record {
  std::string_view name;
  uint16_t flags = 0, method = 0;
  uint32_t crc32 = 0;
  uint64_t stored_bytes = 0, bytes = 0, header_at = 0;
};

/// A part of the file; positions in it are those in the file.
struct Part {
  Bytes bytes;
  uint64_t begin = 0;

  template <typename T>
  T get(uint64_t at) const {
    T value;
    std::memcpy(&value, bytes.data.get() + (at - begin), sizeof(T));
    return value;
  }
};

class DirectoryReader {
 public:
  explicit DirectoryReader(const ByteSource& file) : file_(file) {}

  Directory find_directory() const {
    const Part tail = read_last(kMaxCommentBytes + kEndBytes + kLocator64Bytes);
    const uint64_t end_at = find_end(tail);
    Directory directory{tail.get<uint32_t>(end_at + 16), tail.get<uint32_t>(end_at + 12),
                        tail.get<uint16_t>(end_at + 10)};
    bool one_disk = tail.get<uint16_t>(end_at + 4) == tail.get<uint16_t>(end_at + 6);
    if (end_at >= kLocator64Bytes && tail.get<uint32_t>(end_at - kLocator64Bytes) == kLocator64Signature) {
      const uint64_t end64_at = tail.get<uint64_t>(end_at - kLocator64Bytes + 8);
      if (!fits(end64_at, kEnd64Bytes, end_at)) fail_zip64();
      const Part end64 = read_part(end64_at, kEnd64Bytes);
      if (end64.get<uint32_t>(end64_at) != kEnd64Signature) fail_zip64();
      if (directory.entries == kSeeZip64Count) directory.entries = end64.get<uint64_t>(end64_at + 32);
      if (directory.bytes == kSeeZip64) directory.bytes = end64.get<uint64_t>(end64_at + 40);
      if (directory.begin == kSeeZip64) directory.begin = end64.get<uint64_t>(end64_at + 48);
      one_disk = one_disk || end64.get<uint32_t>(end64_at + 16) == end64.get<uint32_t>(end64_at + 20);
    }
    if (!one_disk) fail("it is a part of an archive on several disks");
    if (!fits(directory.begin, directory.bytes, end_at)) fail("its directory is not inside of the file");
    if (directory.bytes > kMaxDirectoryBytes)
      fail("its directory has " + std::to_string(directory.bytes) + " bytes, more than any checkpoint needs");
    return directory;
  }

  Part read_part(uint64_t at, uint64_t bytes) const { return {file_.read(at, bytes), at}; }

  /// Reads the entry of the directory at `at` and moves `at` behind it. The name points into `part`.
  Record read_record(uint64_t& at, const Part& part) const {
    const uint64_t end = part.begin + part.bytes.size;
    if (!fits(at, kDirectoryBytes, end) || part.get<uint32_t>(at) != kDirectorySignature)
      fail("its directory has fewer entries than it says");
    Record record;
    record.flags = part.get<uint16_t>(at + 8);
    record.method = part.get<uint16_t>(at + 10);
    record.crc32 = part.get<uint32_t>(at + 16);
    record.stored_bytes = part.get<uint32_t>(at + 20);
    record.bytes = part.get<uint32_t>(at + 24);
    record.header_at = part.get<uint32_t>(at + 42);
    const size_t name_bytes = part.get<uint16_t>(at + 28), extra_bytes = part.get<uint16_t>(at + 30);
    const size_t variable_bytes = name_bytes + extra_bytes + part.get<uint16_t>(at + 32);
    if (!fits(at + kDirectoryBytes, variable_bytes, end)) fail("an entry passes the end of its directory");
    const std::byte* const name = part.bytes.data.get() + (at - part.begin) + kDirectoryBytes;
    record.name = {reinterpret_cast<const char*>(name), name_bytes};
    read_zip64_extra(part, at + kDirectoryBytes + name_bytes, extra_bytes, record);
    at += kDirectoryBytes + variable_bytes;
    return record;
  }

  ZipArchive::Entry locate(const Record& record, const Directory& directory) const {
    const std::string name(record.name);
    if (record.flags & kEncryptedFlag) fail("its entry " + name + " is encrypted");
    if (record.method != kStoredMethod || record.stored_bytes != record.bytes)
      fail("its entry " + name +
           " is compressed, which torch.save never does; pack it again without compression");
    const auto fail_place = [&] { fail("its entry " + name + " is not where the directory says"); };
    if (!fits(record.header_at, kLocalBytes, directory.begin)) fail_place();
    std::array<std::byte, kLocalBytes> header;
    file_.read_into(record.header_at, header.data(), header.size());
    const auto get = [&]<typename T>(size_t at, T value) {
      std::memcpy(&value, header.data() + at, sizeof(T));
      return value;
    };
    if (get(0, uint32_t{}) != kLocalSignature) fail_place();
    const uint64_t data_at = record.header_at + kLocalBytes + get(26, uint16_t{}) + get(28, uint16_t{});
    if (!fits(data_at, record.bytes, directory.begin))
      fail("its entry " + name + " passes the end of the data");
    return {data_at, record.bytes, record.crc32};
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorCode::kWrongType, file_.name() + " is no intact PyTorch archive: " + reason +
                                           ". If it was copied or downloaded, do that again.");
  }

 private:
  /// Whether `bytes` bytes from `at` end at or before `end`, with no sum that could overflow.
  static bool fits(uint64_t at, uint64_t bytes, uint64_t end) { return at <= end && bytes <= end - at; }

  [[noreturn]] void fail_zip64() const { fail("its zip64 directory is not where it should be"); }

  Part read_last(uint64_t most_bytes) const {
    const uint64_t bytes = std::min(most_bytes, file_.size());
    return read_part(file_.size() - bytes, bytes);
  }

  /// The end record stands last, before a comment of any text: the last signature whose comment fits is
  /// taken.
  uint64_t find_end(const Part& tail) const {
    if (file_.size() >= kEndBytes) {
      const uint64_t last = file_.size() - kEndBytes;
      for (uint64_t at = last + 1; at-- > 0 && last - at <= kMaxCommentBytes;)
        if (tail.get<uint32_t>(at) == kEndSignature && tail.get<uint16_t>(at + 20) == last - at) return at;
    }
    fail("it is a zip file without a directory at its end, so it seems to be cut off");
  }

  void read_zip64_extra(const Part& part, uint64_t at, size_t bytes, Record& record) const {
    const bool wanted =
        record.bytes == kSeeZip64 || record.stored_bytes == kSeeZip64 || record.header_at == kSeeZip64;
    const uint64_t end = at + bytes;
    while (wanted && fits(at, 4, end)) {
      const uint16_t id = part.get<uint16_t>(at), field_bytes = part.get<uint16_t>(at + 2);
      uint64_t field = at + 4;
      if (!fits(field, field_bytes, end)) break;
      at = field + field_bytes;
      if (id != kZip64ExtraId) continue;
      // Only the values that did not fit stand here, in this order.
      for (uint64_t* value : {&record.bytes, &record.stored_bytes, &record.header_at}) {
        if (*value != kSeeZip64) continue;
        if (!fits(field, 8, at))
          fail("the zip64 sizes of its entry " + std::string(record.name) + " are cut off");
        *value = part.get<uint64_t>(field);
        field += 8;
      }
      return;
    }
  }

  const ByteSource& file_;
};

}  // namespace

ZipArchive::ZipArchive(const ByteSource& file) : file_(file) {
  const DirectoryReader reader(file_);
  const Directory directory = reader.find_directory();
  const Part part = reader.read_part(directory.begin, directory.bytes);
  directory_ = part.bytes;
  uint64_t at = directory.begin;
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const Record record = reader.read_record(at, part);
    const Entry entry = reader.locate(record, directory);
    if (!entries_.emplace(record.name, entry).second)
      reader.fail("it has two entries named " + std::string(record.name));
    ranges.emplace_back(record.header_at, entry.at + entry.size);
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second) reader.fail("its entries overlap");
}

const ZipArchive::Entry* ZipArchive::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

bool ZipArchive::checksum_matches(const Entry& entry, const Bytes& content) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(content.data.get()), content.size) == entry.crc32;
}

}  // namespace bsm
