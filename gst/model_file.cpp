#include "model_file.h"

#include <glib/gstdio.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "debug.h"
#include "engine_loader.h"

namespace bsm {
namespace {

constexpr const char* kShippedModel = "bsmamba2-live.safetensors";
constexpr const char* kShippedGpuModel = "bsmamba2-base.safetensors";

std::vector<std::string> shipped_candidates() {
  std::vector<std::string> paths;
  if (const char* folder = g_getenv("BSMAMBA2_MODEL_DIR"); folder && *folder)
    paths.push_back(std::string(folder) + "/" + kShippedModel);
  if (const std::string folder = plugin_folder(); !folder.empty()) {
    // PREFIX/lib/gstreamer-1.0, or PREFIX/lib/ARCH/gstreamer-1.0 on Debian
    paths.push_back(folder + "/../../share/bsmamba2/models/" + kShippedModel);
    paths.push_back(folder + "/../../../share/bsmamba2/models/" + kShippedModel);
  }
  paths.push_back(std::string(BSM_MODEL_DIR "/") + kShippedModel);
  return paths;
}

/// 0, or the errno of opening the file or reading its first byte (a folder opens, but does not read).
int read_error(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(g_fopen(path.c_str(), "rb"), fclose);
  if (!file) return errno;
  errno = 0;
  if (fgetc(file.get()) == EOF && ferror(file.get())) return errno;
  return 0;
}

}  // namespace

ModelFiles find_model_files(GstElement* element, const std::string& property) {
  std::string path = property, gpu_path;
  if (path.empty()) {
    if (const char* named = g_getenv("GST_BSMAMBA2SEP_MODEL"); named) path = named;
  }
  if (path.empty()) {
    std::string looked_for;
    for (const std::string& candidate : shipped_candidates()) {
      if (g_file_test(candidate.c_str(), G_FILE_TEST_EXISTS)) {
        path = candidate;
        gpu_path = candidate.substr(0, candidate.rfind('/') + 1) + kShippedGpuModel;
        break;
      }
      looked_for += " " + candidate;
    }
    if (path.empty()) {
      GST_ELEMENT_ERROR(
          element, RESOURCE, SETTINGS,
          ("No model file is set and the shipped model was not found. Set the property model-file, or "
           "GST_BSMAMBA2SEP_MODEL, to a model file."),
          ("looked for%s", looked_for.c_str()));
      return {};
    }
  }
  const int error = read_error(path);
  if (error == ENOENT || error == ENOTDIR) {
    GST_ELEMENT_ERROR(
        element, RESOURCE, NOT_FOUND,
        ("The model file %s does not exist (%s). Set the property model-file to an existing file.",
         path.c_str(), g_strerror(error)),
        (NULL));
    return {};
  }
  if (error) {
    GST_ELEMENT_ERROR(
        element, RESOURCE, OPEN_READ,
        ("The model file %s cannot be read (%s). Check its permissions, or set the property model-file "
         "to another file.",
         path.c_str(), g_strerror(error)),
        (NULL));
    return {};
  }
  if (!gpu_path.empty() && read_error(gpu_path) != 0) {  // a folder of the user's own may have one model only
    GST_INFO_OBJECT(element, "%s cannot be read: one model for all devices", gpu_path.c_str());
    gpu_path.clear();
  }
  GST_INFO_OBJECT(element, "model file %s, on a GPU %s", path.c_str(),
                  gpu_path.empty() ? "the same" : gpu_path.c_str());
  return {path, gpu_path};
}

}  // namespace bsm
