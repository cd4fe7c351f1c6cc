// Reading a JSON configuration member by member, with messages that name the member.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include "core/error.h"
#include "train/range.h"

namespace bsm {

using Json = nlohmann::json;

inline void check(bool good, const std::string& sentence) {
  if (!good) throw Error(ErrorCode::kWrongType, sentence);
}

/// Reads the members of one object and knows which were asked for, so that a misspelt key is found.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("is not an object");
  }

  template <typename T>
  void read(const char* key, T& value) {
    known_.insert(key);
    const auto found = object_.find(key);
    if (found == object_.end()) return;
    try {
      assign(*found, value);
    } catch (const std::exception& error) {
      throw Error(ErrorCode::kWrongType, where_ + "." + key + " has the wrong type: " + error.what());
    }
  }

  void read_probability(const char* key, double& value) {
    read(key, value);
    check(value >= 0 && value <= 1, where_ + "." + key + " must lie between 0 and 1.");
  }

  void read_range(const char* key, Range& range, double low, double high) {
    read(key, range);
    std::ostringstream sentence;
    sentence << where_ << "." << key << " must be [low, high] with " << low << " <= low <= high <= " << high
             << ".";
    check(range.low >= low && range.low <= range.high && range.high <= high, sentence.str());
  }

  void finish() const {
    for (const auto& [key, value] : object_.items())
      if (!known_.contains(key)) fail("has the unknown key \"" + key + "\"; remove or correct it");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kWrongType, where_ + " " + what + ".");
  }

 private:
  template <typename T>
  static void assign(const Json& from, T& to) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      if (!from.is_number_integer() || (std::is_unsigned_v<T> && !from.is_number_unsigned()))
        throw std::invalid_argument("expected a whole number");
    }
    to = from.get<T>();
  }
  static void assign(const Json& from, std::optional<double>& to) {
    to = from.is_null() ? std::nullopt : std::optional(from.get<double>());
  }
  static void assign(const Json& from, Range& to) {
    const auto pair = from.get<std::array<double, 2>>();
    to = {pair[0], pair[1]};
  }

  const Json& object_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace bsm
