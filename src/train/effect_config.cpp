#include "train/effect_config.h"

#include "train/object_reader.h"

namespace bsm {

EffectConfig read_effects(const nlohmann::json& json, const std::string& where) {
  EffectConfig e;
  ObjectReader reader(json, where);
  const auto probability = [&](const char* key, double& value) {
    reader.read(key, value);
    check_probability(where, key, value);
  };
  const auto range = [&](const char* key, Range& value, double low, double high) {
    reader.read(key, value);
    check_range(where, key, value, low, high);
  };
  probability("voice_p", e.voice_p);
  probability("band_p", e.band_p);
  probability("shift_p", e.shift_p);
  range("shift_semitones", e.shift_semitones, -24, 12);
  probability("reverse_p", e.reverse_p);
  probability("stretch_p", e.stretch_p);
  range("stretch", e.stretch, 0.001, 4);
  range("grain_s", e.grain_s, 0.01, 1);
  probability("harmony_p", e.harmony_p);
  probability("stutter_p", e.stutter_p);
  range("stutter_s", e.stutter_s, 0.01, 2);
  probability("vibrato_p", e.vibrato_p);
  range("vibrato_hz", e.vibrato_hz, 0.1, 30);
  range("vibrato_cents", e.vibrato_cents, 0, 400);
  probability("telephone_p", e.telephone_p);
  probability("drive_p", e.drive_p);
  range("drive_db", e.drive_db, 0, 60);
  probability("crush_p", e.crush_p);
  range("crush_bits", e.crush_bits, 1, 16);
  probability("ring_p", e.ring_p);
  range("ring_hz", e.ring_hz, 0.1, 5000);
  probability("gate_p", e.gate_p);
  range("gate_hz", e.gate_hz, 0.5, 40);
  probability("double_p", e.double_p);
  range("double_db", e.double_db, -60, 12);
  probability("echo_p", e.echo_p);
  range("echo_s", e.echo_s, 0.01, 2);
  range("echo_db", e.echo_db, -60, 0);
  probability("hall_p", e.hall_p);
  range("hall_s", e.hall_s, 0.01, 20);
  range("hall_db", e.hall_db, -60, 20);
  reader.finish();
  return e;
}

}  // namespace bsm
