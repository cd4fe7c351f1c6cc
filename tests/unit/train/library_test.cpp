#include "train/library.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "synthetic.h"
#include "train/musdb18.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

struct Folders : testing::Test {
  test::TemporaryFolder root;
  void touch(const std::string& name) {
    fs::create_directories((root / name).parent_path());
    std::ofstream file(root / name);
  }
};

TEST_F(Folders, MusdbSongs) {
  for (const char* name : {"mixture.wav", "vocals.wav", "drums.wav", "bass.wav", "other.wav"})
    touch(std::string("B song/") + name);
  touch("A song/vocals.flac");
  touch("A song/accompaniment.ogg");
  touch("A song/cover.jpg");
  touch("C song/vocals.wav");  // no band: not a song
  const AudioLibrary library = find_audio(root.string());
  ASSERT_EQ(library.songs.size(), 2u);
  EXPECT_TRUE(library.loose.empty());
  EXPECT_EQ(library.songs[0].accompaniment.paths,
            std::vector<std::string>{(root / "A song/accompaniment.ogg").string()});
  EXPECT_EQ(library.songs[1].vocals.paths, std::vector<std::string>{(root / "B song/vocals.wav").string()});
  EXPECT_EQ(library.songs[1].accompaniment.paths.size(), 3u);
  const auto tracks = all_tracks(library);
  ASSERT_EQ(tracks.size(), 4u);
  EXPECT_EQ(tracks[2].song, 1);
  EXPECT_EQ(tracks[3].song, 1);
  EXPECT_EQ(tracks[3].role, StemRole::kInstrumental);
}

TEST_F(Folders, SeparateStems) {
  for (const char* name : {"vocals.wav", "drums.wav", "other.wav"}) touch(std::string("A song/") + name);
  auto tracks = all_tracks(find_audio(root.string()), /*separate_stems=*/true);
  ASSERT_EQ(tracks.size(), 3u);
  EXPECT_EQ(tracks[0].role, StemRole::kVocals);
  EXPECT_EQ(tracks[1].part, BandPart::kDrums);
  EXPECT_EQ(tracks[2].part, BandPart::kOther);
  EXPECT_EQ(tracks[2].paths, std::vector<std::string>{(root / "A song/other.wav").string()});
  touch("B song/vocals.wav");
  touch("B song/accompaniment.wav");
  EXPECT_THROW(all_tracks(find_audio(root.string()), true), Error);
  fs::remove_all(root / "B song");
  touch("instrumental/band.wav");
  EXPECT_THROW(all_tracks(find_audio(root.string()), true), Error);
}

TEST_F(Folders, Musdb18ValidationSongsAreKnownByName) {
  for (const char* song : {"A Classic Education - NightOwl", "ANiMAL - Rockshow", "Young Griffo - Pennies",
                           "Young Griffo - Facade"}) {
    touch(std::string(song) + "/vocals.wav");
    touch(std::string(song) + "/other.wav");
  }
  AudioLibrary library = find_audio(root.string());
  const auto taken = take_musdb18_validation(library.songs);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].folder, (root / "ANiMAL - Rockshow").string());
  EXPECT_EQ(taken[1].folder, (root / "Young Griffo - Pennies").string());
  ASSERT_EQ(library.songs.size(), 2u);
  EXPECT_EQ(library.songs[1].folder, (root / "Young Griffo - Facade").string());
}

TEST_F(Folders, PoolsAtAnyDepthInAnyFormat) {
  touch("vocals/a.ogg");
  touch("vocals/bank/b.WAV");
  touch("vocals/notes.txt");
  touch("more/instrumental/c.flac");
  touch("elsewhere/d.wav");
  const auto tracks = all_tracks(find_audio(root.string()));
  ASSERT_EQ(tracks.size(), 3u);
  int vocals = 0;
  for (const TrackFiles& track : tracks) {
    vocals += track.role == StemRole::kVocals;
    EXPECT_EQ(track.song, -1);
  }
  EXPECT_EQ(vocals, 2);
}

TEST_F(Folders, ExcludedFoldersAndLinks) {
  touch("vocals/a.ogg");
  touch("valid/song/vocals.ogg");
  touch("valid/song/accompaniment.ogg");
  fs::create_directory_symlink(root.string(), root / "vocals/loop");  // back to the top: searched once
  const AudioLibrary library = find_audio(root.string(), {(root / "valid").string(), "/nonexistent"});
  EXPECT_TRUE(library.songs.empty());
  EXPECT_EQ(library.loose.size(), 1u);
}

TEST_F(Folders, Errors) {
  EXPECT_THROW(find_audio((root / "none").string()), Error);
  touch("song/vocals.wav");
  touch("song/vocals.flac");
  EXPECT_THROW(find_audio(root.string()), Error);
}

}  // namespace
}  // namespace bsm
