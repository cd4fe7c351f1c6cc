// Pitfall 12: to register, inspect or create the element opens neither the engine nor LibTorch nor CUDA.
#include "harness.h"

#include <fstream>
#include <iterator>

namespace bsm::test {
namespace {

std::string mapped_libraries() {
  std::ifstream maps("/proc/self/maps");
  return {std::istreambuf_iterator<char>(maps), std::istreambuf_iterator<char>()};
}

TEST(Inspect, OpensNoEngine) {
  // Not through the harness, which opens the fake engine itself.
  GstElement* element = gst_element_factory_make("bsmamba2sep", nullptr);
  ASSERT_TRUE(element);
  gst_object_ref_sink(element);
  guint count = 0;
  GParamSpec** specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element), &count);
  for (guint i = 0; i < count; ++i) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, specs[i]->value_type);
    if (specs[i]->flags & G_PARAM_READABLE) g_object_get_property(G_OBJECT(element), specs[i]->name, &value);
    g_value_unset(&value);
  }
  g_free(specs);
  const std::string maps = mapped_libraries();
  EXPECT_NE(maps.find("libgstbsmamba2sep"), std::string::npos);
  for (const char* library : {"fake_engine", "bsmamba2engine", "libtorch", "libc10", "libcuda", "libfftw3"})
    EXPECT_EQ(maps.find(library), std::string::npos) << library;
  ASSERT_EQ(gst_element_set_state(element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE) << "no model is set";
  EXPECT_NE(mapped_libraries().find("fake_engine"), std::string::npos) << "the engine opens on NULL->READY";
  gst_element_set_state(element, GST_STATE_NULL);
  gst_object_unref(element);
}

TEST(Inspect, FactoryIsRegisteredAsAFilterThatNobodyPicksByItself) {
  GstElementFactory* factory = gst_element_factory_find("bsmamba2sep");
  ASSERT_TRUE(factory);
  EXPECT_STREQ(gst_element_factory_get_metadata(factory, GST_ELEMENT_METADATA_KLASS), "Filter/Effect/Audio");
  EXPECT_EQ(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(factory)), static_cast<guint>(GST_RANK_NONE));
  EXPECT_EQ(gst_element_factory_get_num_pad_templates(factory), 4U);
  gst_object_unref(factory);
}

}  // namespace
}  // namespace bsm::test
