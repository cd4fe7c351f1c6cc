#include "train/musdb18.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <string_view>

namespace bsm {
namespace {

constexpr std::array<std::string_view, 14> kValidation{
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
};

}  // namespace

std::vector<SongFiles> take_musdb18_validation(std::vector<SongFiles>& songs) {
  const auto trains = [](const SongFiles& song) {
    const std::string name = std::filesystem::path(song.folder).filename().string();
    return std::find(kValidation.begin(), kValidation.end(), name) == kValidation.end();
  };
  const auto first = std::stable_partition(songs.begin(), songs.end(), trains);
  std::vector<SongFiles> taken(std::make_move_iterator(first), std::make_move_iterator(songs.end()));
  songs.erase(first, songs.end());
  return taken;
}

}  // namespace bsm
