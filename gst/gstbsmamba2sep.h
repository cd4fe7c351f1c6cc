// The GObject type of the element `bsmamba2sep`.
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_BSMAMBA2_SEP (gst_bsmamba2_sep_get_type())
G_DECLARE_FINAL_TYPE(GstBsMamba2Sep, gst_bsmamba2_sep, GST, BSMAMBA2_SEP, GstElement)

GST_ELEMENT_REGISTER_DECLARE(bsmamba2sep)

G_END_DECLS
