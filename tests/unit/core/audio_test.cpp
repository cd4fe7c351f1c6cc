// The planar buffer and the error type, on which every other folder builds.
#include "core/audio.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace bsm {
namespace {

TEST(AudioBuffer, ChannelsAreRows) {
  AudioBuffer audio(2, 3);
  EXPECT_EQ(audio.samples, std::vector<float>(6, 0.0f));
  audio.channel(1)[0] = 4;
  EXPECT_EQ(audio.samples[3], 4);
  const AudioBuffer& constant = audio;
  EXPECT_EQ(constant.channel(1)[0], 4);
  EXPECT_EQ(constant.channel(1) - constant.channel(0), 3);
}

TEST(Error, CarriesCodeAndSentence) {
  try {
    throw Error(ErrorCode::kNotFound, "The file a does not exist.");
  } catch (const std::exception& caught) {
    EXPECT_STREQ(caught.what(), "The file a does not exist.");
    EXPECT_EQ(dynamic_cast<const Error&>(caught).code(), ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace bsm
