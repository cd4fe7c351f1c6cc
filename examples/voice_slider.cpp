// A player with a slider for the voice, in a terminal:
//
//   voice_slider SONG
//
// Keys: + and - turn the voice up and down, q ends. The player is playbin, the slider the property `level` of
// the audio filter `vocalremover`.
#include <gst/gst.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>

namespace {

/// Keys come one by one and unseen while it lives.
class RawTerminal {
 public:
  RawTerminal() : is_terminal_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_terminal_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (is_terminal_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
  bool is_terminal_;
};

struct Player {
  GMainLoop* loop;
  GstElement* remover;
  int voice_percent = 0;
  int exit_code = 0;
};

void show(const Player& player) {
  const auto marks = static_cast<size_t>(player.voice_percent / 10);
  std::cout << "\rvoice [" << std::string(marks, '#') << std::string(10 - marks, '-') << "] "
            << player.voice_percent << " %   " << std::flush;
}

gboolean on_key(GIOChannel*, GIOCondition condition, gpointer data) {
  auto& player = *static_cast<Player*>(data);
  char key = 0;
  if (!(condition & G_IO_IN) || read(STDIN_FILENO, &key, 1) != 1)
    return G_SOURCE_REMOVE;  // no keyboard: play on
  if (key == 'q') g_main_loop_quit(player.loop);
  if (key != '+' && key != '-') return G_SOURCE_CONTINUE;
  player.voice_percent = std::clamp(player.voice_percent + (key == '+' ? 10 : -10), 0, 100);
  g_object_set(player.remover, "level", 1.0 - player.voice_percent / 100.0, nullptr);
  show(player);
  return G_SOURCE_CONTINUE;
}

gboolean on_message(GstBus*, GstMessage* message, gpointer data) {
  auto& player = *static_cast<Player*>(data);
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) g_main_loop_quit(player.loop);
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    GError* error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    std::cerr << "\n" << error->message << std::endl;
    g_error_free(error);
    player.exit_code = 1;
    g_main_loop_quit(player.loop);
  }
  return G_SOURCE_CONTINUE;
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  if (argc != 2) {
    std::cerr << "usage: voice_slider SONG\n";
    return 2;
  }
  GstElement* playbin = gst_element_factory_make("playbin", nullptr);
  Player player{g_main_loop_new(nullptr, FALSE), gst_element_factory_make("vocalremover", nullptr)};
  if (!playbin || !player.remover) {
    std::cerr
        << "playbin or vocalremover is missing: install GStreamer's base plugins, and set GST_PLUGIN_PATH\n";
    return 1;
  }
  gchar* uri = gst_filename_to_uri(argv[1], nullptr);
  g_object_set(playbin, "uri", uri, "audio-filter", player.remover, nullptr);
  g_free(uri);
  if (const char* sink = g_getenv("AUDIO_SINK"))
    g_object_set(playbin, "audio-sink", gst_parse_bin_from_description(sink, TRUE, nullptr), nullptr);

  GstBus* bus = gst_element_get_bus(playbin);
  gst_bus_add_watch(bus, on_message, &player);
  GIOChannel* keyboard = g_io_channel_unix_new(STDIN_FILENO);
  g_io_add_watch(keyboard, static_cast<GIOCondition>(G_IO_IN | G_IO_HUP), on_key, &player);
  {
    const RawTerminal raw;
    show(player);
    gst_element_set_state(playbin, GST_STATE_PLAYING);
    g_main_loop_run(player.loop);
    gst_element_set_state(playbin, GST_STATE_NULL);
    std::cout << std::endl;
  }
  g_io_channel_unref(keyboard);
  gst_bus_remove_watch(bus);
  gst_object_unref(bus);
  gst_object_unref(playbin);
  g_main_loop_unref(player.loop);
  return player.exit_code;
}
