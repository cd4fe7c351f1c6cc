// Faults of the machine: a GPU that is full, that fails or goes away; and that elements fail alone.
#include "harness.h"

namespace bsm::test {
namespace {

class Faults : public ElementTest {};

struct GpuFault {
  BsmStatus status;
  int code;  ///< of GST_RESOURCE_ERROR
};
constexpr GpuFault kGpuFaults[] = {{BSM_ERROR_OUT_OF_MEMORY, GST_RESOURCE_ERROR_NO_SPACE_LEFT},
                                   {BSM_ERROR_DEVICE, GST_RESOURCE_ERROR_FAILED}};

/// Calls `body` for a GPU that is full or that fails, when the model is opened or the stream is.
template <typename Body>
void for_each_gpu_fault_before_start(Body&& body) {
  for (const GpuFault& fault : kGpuFaults)
    for (const bool at_open : {true, false}) {
      SCOPED_TRACE(fault.status);
      engine().restore();
      (at_open ? engine().gpu_open_status : engine().gpu_stream_open_status) = fault.status;
      body(fault);
    }
}

std::string current_device(const Stage& stage) {
  gchar* device = nullptr;
  g_object_get(stage.element(), "current-device", &device, nullptr);
  const std::string text = device ? device : "";
  g_free(device);
  return text;
}

TEST_F(Faults, GpuThatFailsBeforeTheStartMeansTheCpuWhenTheDeviceIsAuto) {
  for_each_gpu_fault_before_start([](const GpuFault& fault) {
    Stage stage({{"precision", "bf16"}});
    stage.start();
    ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(stage.vocals().frames(), 30000);
    EXPECT_EQ(current_device(stage), "cpu");
    EXPECT_EQ(engine().precision, BSM_PRECISION_AUTO) << "bf16 was meant for the GPU";
    const auto warning = stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0));
    ASSERT_TRUE(warning);
    GError* error = nullptr;
    gst_message_parse_warning(warning.get(), &error, nullptr);
    const Owned<GError> owned(error);
    EXPECT_EQ(error->domain, GST_RESOURCE_ERROR);
    EXPECT_EQ(error->code, fault.code);
    EXPECT_NE(std::string(error->message).find("CPU"), std::string::npos) << error->message;
    EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
  });
}

TEST_F(Faults, GpuThatFailsBeforeTheStartIsAnErrorWhenItWasNamed) {
  for_each_gpu_fault_before_start([](const GpuFault& fault) {
    Stage stage({{"device", "cuda:0"}});
    stage.start();
    const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
    EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
    EXPECT_EQ(error.code, fault.code);
    EXPECT_FALSE(stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0)));
  });
}

// What is lost is lost: the element says so once and stops; one on another device plays on; the next start
// may fall back.
TEST_F(Faults, GpuLostWhilePlayingIsAnErrorOfWhatUsedIt) {
  Stage lost({{"latency", "200000000"}});
  Stage other({{"latency", "200000000"}, {"device", "cpu"}});
  for (Stage* stage : {&lost, &other}) {
    stage->start();
    ASSERT_EQ(stage->push_noise(20000), GST_FLOW_OK);
    ASSERT_TRUE(stage->vocals().wait_frames(1));
  }
  engine().gpu_open_status = engine().gpu_stream_open_status = engine().gpu_push_status = BSM_ERROR_DEVICE;
  EXPECT_TRUE(eventually([&] { return lost.push_noise(2000) == GST_FLOW_ERROR; }));
  const BusError error = parse_error(lost.message(GST_MESSAGE_ERROR).get());
  EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error.code, GST_RESOURCE_ERROR_FAILED);
  EXPECT_NE(error.text.find("gone"), std::string::npos) << error.text;
  EXPECT_FALSE(lost.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));

  ASSERT_EQ(other.push_noise(20000), GST_FLOW_OK);
  ASSERT_TRUE(other.finish());
  EXPECT_EQ(other.vocals().frames(), 40000);
  EXPECT_FALSE(other.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));

  EXPECT_EQ(gst_element_set_state(lost.element(), GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state(lost.element(), GST_STATE_PLAYING);
  lost.start();
  lost.vocals().clear();
  ASSERT_EQ(lost.push_noise(20000), GST_FLOW_OK);
  EXPECT_TRUE(lost.message(GST_MESSAGE_WARNING));
  ASSERT_TRUE(lost.finish());
  EXPECT_EQ(lost.vocals().frames(), 20000);
  EXPECT_EQ(current_device(lost), "cpu");
}

TEST_F(Faults, StatisticsTellTheMemoryOfTheGpu) {
  engine().gpu_bytes = 1 << 30;
  for (const char* device : {"auto", "cpu"}) {
    Stage stage({{"device", device}, {"latency", "200000000"}});
    stage.start();
    ASSERT_EQ(stage.push_noise(20000), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    GstStructure* stats = nullptr;
    g_object_get(stage.element(), "stats", &stats, nullptr);
    const Owned<GstStructure> owned(stats);
    guint64 held = 1, peak = 1;
    ASSERT_TRUE(gst_structure_get(stats, "gpu-mem", G_TYPE_UINT64, &held, "gpu-mem-peak", G_TYPE_UINT64,
                                  &peak, nullptr));
    EXPECT_EQ(held, current_device(stage) == "cpu" ? 0U : 1U << 30);
    EXPECT_EQ(peak, 2 * held);
  }
}

// Memory that runs out while playing is an error: what was promised as latency no longer holds on another
// device.
TEST_F(Faults, MemoryThatRunsOutWhilePlayingIsAnError) {
  engine().fail_at_inference = 2;
  engine().fault = fake::Fault::kStatusOutOfMemory;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  EXPECT_TRUE(eventually([&] { return stage.push_noise(2000) == GST_FLOW_ERROR; }));
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
}

// Elements of one process fail alone.
TEST_F(Faults, OneElementsFailureIsNotTheOthers) {
  Stage good({{"latency", "200000000"}});
  good.start();
  ASSERT_EQ(good.push_noise(20000), GST_FLOW_OK);
  ASSERT_TRUE(good.wait_loaded());
  engine().open_status = BSM_ERROR_WRONG_TYPE;
  Stage bad;
  EXPECT_EQ(parse_error(bad.message(GST_MESSAGE_ERROR).get()).domain, GST_STREAM_ERROR);
  ASSERT_EQ(good.push_noise(20000), GST_FLOW_OK);
  ASSERT_TRUE(good.finish());
  EXPECT_EQ(good.vocals().frames(), 40000);
  EXPECT_FALSE(good.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
}

}  // namespace
}  // namespace bsm::test
