#include "train/effect_config.h"

#include "train/object_reader.h"

namespace bsm {

EffectConfig read_effects(const nlohmann::json& json, const std::string& where) {
  EffectConfig e;
  ObjectReader reader(json, where);
  reader.read_probability("voice_p", e.voice_p);
  reader.read_probability("band_p", e.band_p);
  reader.read_probability("shift_p", e.shift_p);
  reader.read_range("shift_semitones", e.shift_semitones, -24, 12);
  reader.read_probability("reverse_p", e.reverse_p);
  reader.read_probability("stretch_p", e.stretch_p);
  reader.read_range("stretch", e.stretch, 0.001, 4);
  reader.read_range("grain_s", e.grain_s, 0.01, 1);
  reader.read_probability("harmony_p", e.harmony_p);
  reader.read_probability("stutter_p", e.stutter_p);
  reader.read_range("stutter_s", e.stutter_s, 0.01, 2);
  reader.read_probability("vibrato_p", e.vibrato_p);
  reader.read_range("vibrato_hz", e.vibrato_hz, 0.1, 30);
  reader.read_range("vibrato_cents", e.vibrato_cents, 0, 400);
  reader.read_probability("telephone_p", e.telephone_p);
  reader.read_probability("drive_p", e.drive_p);
  reader.read_range("drive_db", e.drive_db, 0, 60);
  reader.read_probability("crush_p", e.crush_p);
  reader.read_range("crush_bits", e.crush_bits, 1, 16);
  reader.read_probability("ring_p", e.ring_p);
  reader.read_range("ring_hz", e.ring_hz, 0.1, 5000);
  reader.read_probability("gate_p", e.gate_p);
  reader.read_range("gate_hz", e.gate_hz, 0.5, 40);
  reader.read_probability("double_p", e.double_p);
  reader.read_range("double_db", e.double_db, -60, 12);
  reader.read_probability("echo_p", e.echo_p);
  reader.read_range("echo_s", e.echo_s, 0.01, 2);
  reader.read_range("echo_db", e.echo_db, -60, 0);
  reader.read_probability("hall_p", e.hall_p);
  reader.read_range("hall_s", e.hall_s, 0.01, 20);
  reader.read_range("hall_db", e.hall_db, -60, 20);
  reader.finish();
  return e;
}

}  // namespace bsm
