#include "io/mapped_file.h"

#include <glib.h>

#include <filesystem>

#include "core/error.h"

namespace bsm {

MappedFile MappedFile::open(const std::string& path) {
  // Asked first, because opening a FIFO would wait for a writer.
  std::error_code status_error;
  const auto status = std::filesystem::status(path, status_error);
  if (status.type() == std::filesystem::file_type::not_found)
    throw Error(ErrorCode::kNotFound, "The file " + path + " does not exist. Check its path.");
  if (status_error)
    throw Error(ErrorCode::kOpenRead,
                "The file " + path + " cannot be reached: " + status_error.message() + ".");
  if (status.type() != std::filesystem::file_type::regular)
    throw Error(ErrorCode::kOpenRead, path + " is not a regular file. Give the path of a file.");

  GError* error = nullptr;
  GMappedFile* mapped = g_mapped_file_new(path.c_str(), /*writable=*/FALSE, &error);
  if (!mapped) {
    const std::string reason = error->message;
    g_error_free(error);
    throw Error(ErrorCode::kOpenRead, "The file " + path + " cannot be read: " + reason + ".");
  }
  MappedFile file;
  file.owner = std::shared_ptr<const void>(mapped, [](const void* p) {
    g_mapped_file_unref(const_cast<GMappedFile*>(static_cast<const GMappedFile*>(p)));
  });
  file.data = reinterpret_cast<const std::byte*>(g_mapped_file_get_contents(mapped));
  file.size = g_mapped_file_get_length(mapped);
  return file;
}

}  // namespace bsm
