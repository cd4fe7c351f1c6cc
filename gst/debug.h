// Debug categories: `bsmamba2sep` for the element, `bsmamba2engine` for what the engine library says.
#pragma once

#include <gst/gst.h>

GST_DEBUG_CATEGORY_EXTERN(bsmamba2sep_debug);
GST_DEBUG_CATEGORY_EXTERN(bsmamba2engine_debug);

#define GST_CAT_DEFAULT bsmamba2sep_debug
