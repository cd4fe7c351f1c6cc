// Which model file an element uses, and whether it can be read.
#pragma once

#include <gst/gst.h>

#include <string>

namespace bsm {

/// The property, else GST_BSMAMBA2SEP_MODEL, else bsmamba2-live.safetensors in BSMAMBA2_MODEL_DIR, in
/// share/bsmamba2/models beside the plugin, or in the folder of the installation. Checks that the file can be
/// read; if not, posts an ERROR message on `element` (RESOURCE: SETTINGS, NOT_FOUND or OPEN_READ) and returns
/// "".
std::string find_model_file(GstElement* element, const std::string& property);

}  // namespace bsm
