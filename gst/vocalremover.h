// The GObject type of the bin `vocalremover`.
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_VOCAL_REMOVER (gst_vocal_remover_get_type())
G_DECLARE_FINAL_TYPE(GstVocalRemover, gst_vocal_remover, GST, VOCAL_REMOVER, GstBin)

GST_ELEMENT_REGISTER_DECLARE(vocalremover)

G_END_DECLS
