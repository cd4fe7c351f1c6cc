#include "engine_loader.h"

#include <dlfcn.h>
#include <gmodule.h>

#include <map>
#include <mutex>
#include <vector>

#include "debug.h"

namespace bsm {
namespace {

constexpr const char* kLibraryName = "libbsmamba2engine.so";

std::vector<std::string> candidates() {
  if (const char* path = g_getenv("BSMAMBA2_ENGINE"); path && *path) return {path};
  std::vector<std::string> paths;
  if (const std::string folder = plugin_folder(); !folder.empty()) {
    paths.push_back(folder + "/../gst-bsmamba2/" + kLibraryName);
    paths.push_back(folder + "/../src/engine/" + kLibraryName);
  }
  paths.push_back(std::string(BSM_ENGINE_DIR "/") + kLibraryName);
  return paths;
}

void forward_log(BsmLogLevel level, const char* message, void*) {
  const GstDebugLevel levels[] = {GST_LEVEL_ERROR, GST_LEVEL_WARNING, GST_LEVEL_INFO, GST_LEVEL_DEBUG};
  GST_CAT_LEVEL_LOG(bsmamba2engine_debug, levels[level], nullptr, "%s", message);
}

const BsmEngineApi* open_library(const std::string& path, std::string* error) {
  GModule* module =
      g_module_open(path.c_str(), static_cast<GModuleFlags>(G_MODULE_BIND_LOCAL | G_MODULE_BIND_LAZY));
  if (!module) {
    *error = "The separation engine " + path + " cannot be loaded: " + g_module_error() +
             ". Install LibTorch (Debian and Ubuntu: apt install libtorch-dev), or set BSMAMBA2_ENGINE to an "
             "engine "
             "built for the LibTorch of this machine.";
    return nullptr;
  }
  g_module_make_resident(module);
  gpointer symbol = nullptr;
  if (!g_module_symbol(module, BSM_ENGINE_SYMBOL, &symbol)) {
    *error = path + " is not a separation engine: " + g_module_error() + ". Set BSMAMBA2_ENGINE to " +
             kLibraryName + " of this version of the plugin.";
    return nullptr;
  }
  const BsmEngineApi* api = reinterpret_cast<BsmEngineApiFunc>(symbol)(BSM_ENGINE_ABI_VERSION);
  if (!api || api->abi_version != BSM_ENGINE_ABI_VERSION) {
    *error = "The separation engine " + path + " does not serve interface version " +
             std::to_string(BSM_ENGINE_ABI_VERSION) + ". Install plugin and engine of the same version.";
    return nullptr;
  }
  api->set_log(forward_log, nullptr);
  GST_INFO("engine %s: %s", path.c_str(), api->version);
  return api;
}

}  // namespace

std::string plugin_folder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&plugin_folder), &info) || !info.dli_fname) return "";
  gchar* folder = g_path_get_dirname(info.dli_fname);
  std::string result = folder;
  g_free(folder);
  return result;
}

const BsmEngineApi* open_engine(std::string* error) {
  static std::mutex mutex;
  static auto& opened =
      *new std::map<std::string, const BsmEngineApi*>;  // never destroyed: threads outlive exit()
  const std::lock_guard lock(mutex);

  const std::vector<std::string> paths = candidates();
  for (const std::string& path : paths) {
    if (const auto found = opened.find(path); found != opened.end()) return found->second;
    // A library that exists but does not load is the one to report; the next folder would hide the cause.
    if (paths.size() > 1 && !g_file_test(path.c_str(), G_FILE_TEST_EXISTS)) continue;
    const BsmEngineApi* api = open_library(path, error);
    if (api) opened.emplace(path, api);
    return api;
  }
  *error = "The separation engine is not installed. Looked for";
  for (const std::string& path : paths) *error += " " + path;
  *error += ". Install the engine library, or set BSMAMBA2_ENGINE to its path.";
  return nullptr;
}

}  // namespace bsm
