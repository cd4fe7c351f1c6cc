#include "io/sha256.h"

#include <glib.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "io/byte_source.h"

namespace bsm {

std::string sha256_file(const std::string& path) {
  const ByteSource file = ByteSource::open(path);
  const std::unique_ptr<GChecksum, decltype(&g_checksum_free)> checksum(g_checksum_new(G_CHECKSUM_SHA256),
                                                                        g_checksum_free);
  std::vector<std::byte> block(size_t{1} << 20);
  for (uint64_t at = 0; at < file.size(); at += block.size()) {
    const size_t bytes = std::min<uint64_t>(block.size(), file.size() - at);
    file.read_into(at, block.data(), bytes);
    g_checksum_update(checksum.get(), reinterpret_cast<const guchar*>(block.data()),
                      static_cast<gssize>(bytes));
  }
  return g_checksum_get_string(checksum.get());
}

}  // namespace bsm
