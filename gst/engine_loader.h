// Opens the engine library (LibTorch, FFTW) the first time an element goes NULL->READY: never at scan time,
// because a plugin that pulls in LibTorch would slow down every cold registry scan and be blacklisted where
// LibTorch is missing.
#pragma once

#include <string>

#include "engine/engine.h"

namespace bsm {

/// Folder of the plugin's own shared library; "" when it cannot be found out.
std::string plugin_folder();

/// [any] Finds the engine: BSMAMBA2_ENGINE if set (and then nothing else); ../gst-bsmamba2 beside the
/// plugin's folder;
/// ../src/engine (a build tree); the folder of the installation. The library stays open for the life of the
/// process, since LibTorch cannot be unloaded. Returns NULL and a sentence in *error when it cannot be used.
const BsmEngineApi* open_engine(std::string* error);

}  // namespace bsm
