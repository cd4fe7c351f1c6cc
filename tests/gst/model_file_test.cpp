// The model file goes away, or becomes another, while elements use it: who plays goes on, who starts reads
// what is there.
#include <glib/gstdio.h>

#include "harness.h"

namespace bsm::test {
namespace {

class ModelFile : public ElementTest {
 protected:
  ModelFile()
      : folder_(g_dir_make_tmp("bsm-XXXXXX", nullptr)), path_(std::string(folder_) + "/model.safetensors") {
    write(path_, "quarter");
  }
  ~ModelFile() override {
    g_remove(path_.c_str());
    g_rmdir(folder_);
    g_free(folder_);
  }

  static void write(const std::string& path, const char* contents) {
    ASSERT_TRUE(g_file_set_contents(path.c_str(), contents, -1, nullptr));
  }

  /// Pushes noise, ends the stream, and expects `share` of it on vocals.
  static void expect_share(Stage* stage, float share) {
    stage->vocals().clear();
    const std::vector<float> input = noise(60000);
    ASSERT_EQ(stage->push(input), GST_FLOW_OK);
    ASSERT_TRUE(stage->finish());
    const std::vector<float> voice = stage->vocals().samples();
    ASSERT_EQ(voice.size(), input.size());
    for (size_t i = 0; i < voice.size(); ++i) ASSERT_EQ(voice[i], share * input[i]) << "sample " << i;
  }

  gchar* folder_;
  std::string path_;
};

TEST_F(ModelFile, DeletedWhilePlayingDoesNotMatterUntilTheNextStart) {
  Stage stage({{"model-file", path_}});
  stage.start();
  ASSERT_TRUE(stage.wait_loaded());
  g_remove(path_.c_str());
  expect_share(&stage, fake::kVoiceShare);
  gst_element_set_state(stage.element(), GST_STATE_NULL);
  EXPECT_EQ(gst_element_set_state(stage.element(), GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NOT_FOUND);
}

// By another file of the name, as tools that write safely do, or in place.
TEST_F(ModelFile, ReplacedWhilePlayingIsReadAtTheNextStart) {
  for (const bool in_place : {false, true}) {
    write(path_, "quarter");
    Stage stage({{"model-file", path_}, {"latency", "200000000"}});
    stage.start();
    ASSERT_TRUE(stage.wait_loaded());
    if (in_place) {
      const std::unique_ptr<FILE, int (*)(FILE*)> file(g_fopen(path_.c_str(), "w"), fclose);
      ASSERT_GE(std::fputs(fake::kHalfModel, file.get()), 0);
    } else {
      write(path_, fake::kHalfModel);
    }
    expect_share(&stage, fake::kVoiceShare);
    Stage beside({{"model-file", path_}});
    beside.start();
    expect_share(&beside, 2 * fake::kVoiceShare);
    EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));

    // The next start is the next READY->PAUSED.
    gst_element_set_state(stage.element(), GST_STATE_READY);
    gst_element_set_state(stage.element(), GST_STATE_PLAYING);
    ASSERT_TRUE(stage.send(gst_event_new_stream_start("second")));
    stage.start();
    expect_share(&stage, 2 * fake::kVoiceShare);
  }
}

// `model-file` may change in READY: the next start reads the new file, and says when there is none.
TEST_F(ModelFile, NamedInReadyIsReadAtTheNextStart) {
  const std::string other = path_ + ".other";
  write(other, fake::kHalfModel);
  Stage stage({{"model-file", path_}, {"latency", "200000000"}});
  stage.start();
  expect_share(&stage, fake::kVoiceShare);
  gst_element_set_state(stage.element(), GST_STATE_READY);
  g_object_set(stage.element(), "model-file", other.c_str(), nullptr);
  gst_element_set_state(stage.element(), GST_STATE_PLAYING);
  ASSERT_TRUE(stage.send(gst_event_new_stream_start("second")));
  stage.start();
  expect_share(&stage, 2 * fake::kVoiceShare);

  gst_element_set_state(stage.element(), GST_STATE_READY);
  g_remove(other.c_str());
  EXPECT_EQ(gst_element_set_state(stage.element(), GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NOT_FOUND);
}

// The file goes between READY, which checks it, and the load.
TEST_F(ModelFile, DeletedBeforeTheLoadIsAnError) {
  engine().open_status = BSM_ERROR_NOT_FOUND;
  Stage stage;
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NOT_FOUND);
}

}  // namespace
}  // namespace bsm::test
