// Registers the elements; opens nothing.
#include <gst/gst.h>

#include "gstbsmamba2sep.h"
#include "vocalremover.h"

static gboolean plugin_init(GstPlugin* plugin) {
  const gboolean separator = GST_ELEMENT_REGISTER(bsmamba2sep, plugin);
  const gboolean remover = GST_ELEMENT_REGISTER(vocalremover, plugin);
  return separator && remover;
}

// "GPL": the engine that the plugin opens is linked with FFTW.
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, bsmamba2sep, "Singing voice separation with BSMamba2",
                  plugin_init, VERSION, "GPL", "bsmamba2sep", "https://arxiv.org/abs/2508.14556")
