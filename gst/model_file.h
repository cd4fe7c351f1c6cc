// Which model file an element uses, and whether it can be read.
#pragma once

#include <gst/gst.h>

#include <string>

namespace bsm {

struct ModelFiles {
  std::string file;
  std::string gpu_file;  ///< what is loaded instead on a GPU, or ""
};

/// The property, else GST_BSMAMBA2SEP_MODEL, else the shipped models (bsmamba2-live, and bsmamba2-base on a
/// GPU) in BSMAMBA2_MODEL_DIR, in share/bsmamba2/models beside the plugin, or in the folder of the
/// installation. Checks that the file can be read; if not, posts an ERROR message on `element` (RESOURCE:
/// SETTINGS, NOT_FOUND or OPEN_READ) and returns an empty `file`.
ModelFiles find_model_files(GstElement* element, const std::string& property);

}  // namespace bsm
