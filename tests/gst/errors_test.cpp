// Section 2.8: each failure is one ERROR message of the right domain with a sentence, the chain returns
// ERROR, and the element can be used again (pitfall 13).
#include "harness.h"

#include <glib/gstdio.h>

#include <ostream>

namespace bsm::test {
namespace {

class Errors : public ElementTest {
 protected:
  /// Sets NULL->READY on an element with a bus and returns the error it posts.
  static BusError fail_ready(std::initializer_list<Setting> settings) {
    const Owned<GstElement> element(GST_ELEMENT(gst_object_ref_sink(make_element(settings))));
    const Owned<GstBus> bus(gst_bus_new());
    gst_element_set_bus(element.get(), bus.get());
    EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
    const Owned<GstMessage> message(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR));
    EXPECT_TRUE(message);
    EXPECT_EQ(count_errors(bus.get()), 0);
    const BusError error = parse_error(message.get());
    gst_element_set_bus(element.get(), nullptr);
    return error;
  }
};

TEST_F(Errors, MissingModelFile) {
  const BusError error = fail_ready({{"model-file", "/nonexistent/model.safetensors"}});
  EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error.code, GST_RESOURCE_ERROR_NOT_FOUND);
  EXPECT_NE(error.text.find("/nonexistent/model.safetensors"), std::string::npos) << error.text;
}

TEST_F(Errors, ModelFileIsAFolder) {
  const BusError error = fail_ready({{"model-file", g_get_tmp_dir()}});
  EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error.code, GST_RESOURCE_ERROR_OPEN_READ);
}

TEST_F(Errors, NoModelAnywhere) {
  const BusError error = fail_ready({{"model-file", ""}});
  EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error.code, GST_RESOURCE_ERROR_SETTINGS);
  EXPECT_NE(error.text.find("model-file"), std::string::npos) << error.text;
}

TEST_F(Errors, ModelFileFromTheEnvironment) {
  for (const char* variable : {"GST_BSMAMBA2SEP_MODEL", "BSMAMBA2_MODEL_DIR"}) {
    gchar* folder = g_dir_make_tmp("bsm-XXXXXX", nullptr);
    const std::string path = std::string(folder) + "/bsmamba2-live.safetensors";
    ASSERT_TRUE(g_file_set_contents(path.c_str(), "x", 1, nullptr));
    g_setenv(variable, std::string(variable) == "BSMAMBA2_MODEL_DIR" ? folder : path.c_str(), TRUE);
    const Owned<GstElement> element(GST_ELEMENT(gst_object_ref_sink(make_element({{"model-file", ""}}))));
    EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_READY), GST_STATE_CHANGE_SUCCESS) << variable;
    g_setenv(variable, "", TRUE);
    g_remove(path.c_str());
    g_rmdir(folder);
    g_free(folder);
  }
}

struct StatusCase {
  BsmStatus status;
  GQuark (*domain)();
  int code;
};
/// Without it GoogleTest prints the bytes, and valgrind finds the padding uninitialised.
void PrintTo(const StatusCase& c, std::ostream* out) { *out << "status " << c.status; }
class OpenStatus : public ElementTest, public ::testing::WithParamInterface<StatusCase> {};

TEST_P(OpenStatus, BecomesABusErrorOnce) {
  const StatusCase& expected = GetParam();
  for (const bool in_stream : {false, true}) {
    engine().restore();
    (in_stream ? engine().stream_open_status : engine().open_status) = expected.status;
    Stage stage;
    stage.start();
    const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
    EXPECT_EQ(error.domain, expected.domain());
    EXPECT_EQ(error.code, expected.code);
    EXPECT_FALSE(error.text.empty());
    EXPECT_TRUE(eventually([&] { return stage.push_noise(441) == GST_FLOW_ERROR; }));
    // EOS still comes through, nothing else is posted, and a flush does not heal it.
    ASSERT_TRUE(stage.finish());
    ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
    ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
    ASSERT_TRUE(stage.send_segment(0));
    EXPECT_EQ(stage.push_noise(441), GST_FLOW_ERROR);
    EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
    EXPECT_EQ(stage.vocals().frames(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OpenStatus,
    ::testing::Values(StatusCase{BSM_ERROR_SETTINGS, gst_resource_error_quark, GST_RESOURCE_ERROR_SETTINGS},
                      StatusCase{BSM_ERROR_NOT_FOUND, gst_resource_error_quark, GST_RESOURCE_ERROR_NOT_FOUND},
                      StatusCase{BSM_ERROR_OPEN_READ, gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ},
                      StatusCase{BSM_ERROR_WRONG_TYPE, gst_stream_error_quark, GST_STREAM_ERROR_WRONG_TYPE},
                      StatusCase{BSM_ERROR_LIBRARY, gst_library_error_quark, GST_LIBRARY_ERROR_INIT},
                      StatusCase{BSM_ERROR_OUT_OF_MEMORY, gst_resource_error_quark,
                                 GST_RESOURCE_ERROR_NO_SPACE_LEFT},
                      StatusCase{BSM_ERROR_FAILED, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED}));

TEST_F(Errors, ModelOfAnotherRate) {
  engine().sample_rate_hz = 48000;
  Stage stage;
  const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
  EXPECT_EQ(error.domain, GST_STREAM_ERROR);
  EXPECT_EQ(error.code, GST_STREAM_ERROR_WRONG_TYPE);
  EXPECT_NE(error.text.find("48000"), std::string::npos) << error.text;
}

struct FaultCase {
  fake::Fault fault;
  GQuark (*domain)();
  int code;
};
void PrintTo(const FaultCase& c, std::ostream* out) { *out << "fault " << static_cast<int>(c.fault); }
class InferenceFault : public ElementTest, public ::testing::WithParamInterface<FaultCase> {};

TEST_P(InferenceFault, IsReportedOnceAndTheElementWorksAgain) {
  const FaultCase& expected = GetParam();
  engine().fault = expected.fault;
  engine().fail_at_inference = 3;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  EXPECT_TRUE(eventually([&] { return stage.push_noise(2000) == GST_FLOW_ERROR; }));
  const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
  EXPECT_EQ(error.domain, expected.domain());
  EXPECT_EQ(error.code, expected.code);
  ASSERT_TRUE(stage.finish());
  EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());

  engine().fault = fake::Fault::kNone;
  for (const GstState state : {GST_STATE_NULL, GST_STATE_PLAYING})
    ASSERT_NE(gst_element_set_state(stage.element(), state), GST_STATE_CHANGE_FAILURE);
  stage.vocals().clear();
  ASSERT_TRUE(stage.send(gst_event_new_stream_start("again")));
  stage.start();
  ASSERT_TRUE(stage.send_segment(0));
  ASSERT_EQ(stage.push_at(noise(100000), 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 50000);
}

TEST_P(InferenceFault, AFlushHealsIt) {
  engine().fault = GetParam().fault;
  engine().fail_at_inference = 0;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  EXPECT_TRUE(eventually([&] { return stage.push_noise(2000) == GST_FLOW_ERROR; }));
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  ASSERT_TRUE(stage.send_segment(0));
  ASSERT_EQ(stage.push_at(noise(100000), 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 50000);
}

INSTANTIATE_TEST_SUITE_P(
    All, InferenceFault,
    ::testing::Values(
        FaultCase{fake::Fault::kStdException, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED},
        FaultCase{fake::Fault::kInt, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED},
        FaultCase{fake::Fault::kBadAlloc, gst_resource_error_quark, GST_RESOURCE_ERROR_NO_SPACE_LEFT},
        FaultCase{fake::Fault::kStatusOutOfMemory, gst_resource_error_quark,
                  GST_RESOURCE_ERROR_NO_SPACE_LEFT},
        FaultCase{fake::Fault::kStatusFailed, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED}));

// The tail fails: no buffer follows that could carry the error upstream, and EOS still arrives.
TEST_F(Errors, FailureWhileDraining) {
  for (const fake::Fault fault : {fake::Fault::kStatusFailed, fake::Fault::kLoseSamples}) {
    engine().restore();
    engine().fault = fault;
    engine().fail_at_inference = 0;
    Stage stage;
    stage.start();
    ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
    EXPECT_EQ(error.domain, GST_LIBRARY_ERROR);
    EXPECT_EQ(error.code, GST_LIBRARY_ERROR_FAILED);
    EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
  }
}

TEST_F(Errors, SegmentThatIsNotTime) {
  Stage stage;
  stage.start();
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  stage.send(gst_event_new_segment(&segment));
  const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
  EXPECT_EQ(error.domain, GST_STREAM_ERROR);
  EXPECT_EQ(error.code, GST_STREAM_ERROR_FORMAT);
  EXPECT_EQ(stage.push_noise(100), GST_FLOW_ERROR);
  EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
}

TEST_F(Errors, DataBeforeCaps) {
  Stage stage;
  ASSERT_TRUE(stage.send_segment(0));
  EXPECT_EQ(stage.push_noise(100), GST_FLOW_NOT_NEGOTIATED);
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).domain, GST_CORE_ERROR);
}

TEST_F(Errors, BrokenFrame) {
  Stage stage;
  stage.start();
  EXPECT_EQ(stage.push(std::vector<float>(3, 0.0F)), GST_FLOW_ERROR);
  const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
  EXPECT_EQ(error.domain, GST_STREAM_ERROR);
  EXPECT_EQ(error.code, GST_STREAM_ERROR_FORMAT);
}

class EnginePath : public Errors {
 protected:
  void SetUp() override {
    Errors::SetUp();
    good_ = g_getenv("BSMAMBA2_ENGINE");
  }
  void TearDown() override {
    g_setenv("BSMAMBA2_ENGINE", good_.c_str(), TRUE);
    Errors::TearDown();
  }
  std::string good_;
};

TEST_F(EnginePath, MissingEngineNamesThePackage) {
  g_setenv("BSMAMBA2_ENGINE", "/nonexistent/libbsmamba2engine.so", TRUE);
  const BusError error = fail_ready({{"model-file", good_}});
  EXPECT_EQ(error.domain, GST_LIBRARY_ERROR);
  EXPECT_EQ(error.code, GST_LIBRARY_ERROR_INIT);
  EXPECT_NE(error.text.find("libtorch-dev"), std::string::npos) << error.text;
}

TEST_F(EnginePath, LibraryThatIsNoEngine) {
  g_setenv("BSMAMBA2_ENGINE", "libz.so.1", TRUE);
  const BusError error = fail_ready({{"model-file", good_}});
  EXPECT_EQ(error.domain, GST_LIBRARY_ERROR);
  EXPECT_EQ(error.code, GST_LIBRARY_ERROR_INIT);
}

TEST_F(EnginePath, AfterAMissingEngineAGoodOneWorks) {
  g_setenv("BSMAMBA2_ENGINE", "/nonexistent/libbsmamba2engine.so", TRUE);
  fail_ready({{"model-file", good_}});
  g_setenv("BSMAMBA2_ENGINE", good_.c_str(), TRUE);
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  EXPECT_TRUE(stage.finish());
}

}  // namespace
}  // namespace bsm::test
