#include "io/sha256.h"

#include <glib.h>

#include <algorithm>
#include <memory>

#include "io/mapped_file.h"

namespace bsm {

std::string sha256_file(const std::string& path) {
  const MappedFile file = MappedFile::open(path);
  const std::unique_ptr<GChecksum, decltype(&g_checksum_free)> checksum(g_checksum_new(G_CHECKSUM_SHA256),
                                                                        g_checksum_free);
  // g_checksum_update takes a signed length, which a whole file need not fit on every platform.
  constexpr size_t kBlockBytes = size_t{1} << 26;
  for (size_t at = 0; at < file.size; at += kBlockBytes)
    g_checksum_update(checksum.get(), reinterpret_cast<const guchar*>(file.data + at),
                      static_cast<gssize>(std::min(kBlockBytes, file.size - at)));
  return g_checksum_get_string(checksum.get());
}

}  // namespace bsm
