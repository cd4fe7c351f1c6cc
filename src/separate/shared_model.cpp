#include "separate/shared_model.h"

#include <sys/stat.h>

#include <chrono>
#include <map>
#include <mutex>
#include <tuple>

#include "core/error.h"
#include "separate/device_choice.h"

namespace bsm {
namespace {

/// The file itself, not its name: a file that was replaced is another model. The time of the last change of
/// the inode is there because copying tools restore that of the contents.
using Key = std::tuple<dev_t, ino_t, off_t, time_t, long, time_t, long, std::string, Precision>;

struct Entry {
  std::timed_mutex loading;
  std::weak_ptr<const Model> model;
};

/// The entries stay, as small as they are, and also while the process exits: threads may still load then. The
/// weights go with their last user.
std::shared_ptr<Entry> entry_of(const Key& key) {
  static std::mutex mutex;
  static auto& entries = *new std::map<Key, std::shared_ptr<Entry>>;
  const std::lock_guard lock(mutex);
  std::shared_ptr<Entry>& entry = entries[key];
  if (!entry) entry = std::make_shared<Entry>();
  return entry;
}

}  // namespace

std::shared_ptr<const Model> load_shared_model(const ModelOptions& options, const LoadProgress& progress) {
  struct stat file {};
  // What is wrong with the file is for load() to say.
  if (stat(options.model_file.c_str(), &file) != 0) return Model::load(options, progress);
  const c10::Device device = choose_device(options.device);
  const Key key{file.st_dev,          file.st_ino,          file.st_size,
                file.st_mtim.tv_sec,  file.st_mtim.tv_nsec, file.st_ctim.tv_sec,
                file.st_ctim.tv_nsec, device.str(),         choose_precision(options.precision, device)};
  const std::shared_ptr<Entry> entry = entry_of(key);
  std::unique_lock lock(entry->loading, std::defer_lock);
  while (!lock.try_lock_for(std::chrono::milliseconds(20)))
    if (progress && !progress("waiting for another load of the file", 0.0))
      throw Error(ErrorCode::kCancelled, "Loading the model was cancelled.");
  if (std::shared_ptr<const Model> model = entry->model.lock()) return model;
  std::shared_ptr<const Model> model = Model::load(options, progress);
  entry->model = model;
  return model;
}

}  // namespace bsm
