// The properties of the element: property_specs.cpp says what they are, properties.cpp keeps their values.
#pragma once

#include <gst/gst.h>

namespace bsm {

enum Property {
  kPropModelFile = 1,
  kPropDevice,
  kPropCurrentDevice,
  kPropPrecision,
  kPropThreads,
  kPropShareModel,
  kPropStemNames,
  kPropMode,
  kPropLatency,
  kPropLookahead,
  kPropHopDuration,
  kPropContextDuration,
  kPropStreamingMode,
  kPropProcessingLatency,
  kPropOverloadPolicy,
  kPropBypass,
  kPropVocalsGain,
  kPropInstrumentalGain,
  kPropGuideLevel,
  kPropSilenceSkip,
  kPropDiscontThreshold,
  kPropDiscontWait,
  kPropStats,
  kPropPostMessages,
  kPropInterval,
};

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec);
void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec);
void install_properties(GObjectClass* klass);

}  // namespace bsm
