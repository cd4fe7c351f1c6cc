#!/usr/bin/env python3
"""A player with a slider for the voice, in a terminal; needs PyGObject (Debian: python3-gi gir1.2-gstreamer-1.0).

    voice_slider.py SONG

Keys: + and - turn the voice up and down, q ends. The voice and the band are two pads of one separator, mixed again with the
property guide-level; the band keeps its level.
"""
import os
import sys
import termios
import tty

import gi

gi.require_version('Gst', '1.0')
from gi.repository import GLib, Gst  # noqa: E402


class Player:
    def __init__(self, song):
        self.loop = GLib.MainLoop()
        self.voice_percent = 0
        self.exit_code = 0
        sink = os.environ.get('AUDIO_SINK', 'autoaudiosink')
        self.pipeline = Gst.parse_launch(
            'filesrc name=file ! decodebin ! audioconvert ! audioresample ! bsmamba2sep name=separator '
            f'separator.instrumental ! audioconvert ! audioresample ! {sink}')
        self.pipeline.get_by_name('file').props.location = song
        self.separator = self.pipeline.get_by_name('separator')
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect('message::eos', lambda *_: self.loop.quit())
        bus.connect('message::error', self.on_error)

    def on_error(self, _bus, message):
        print(f'\n{message.parse_error()[0].message}', file=sys.stderr)
        self.exit_code = 1
        self.loop.quit()

    def show(self):
        marks = self.voice_percent // 10
        print(f'\rvoice [{"#" * marks}{"-" * (10 - marks)}] {self.voice_percent} %   ', end='', flush=True)

    def on_key(self, _channel, condition):
        key = os.read(sys.stdin.fileno(), 1) if condition & GLib.IOCondition.IN else b''
        if not key:
            return False  # no keyboard: play on
        if key == b'q':
            self.loop.quit()
        elif key in b'+-':
            change = 10 if key == b'+' else -10
            self.voice_percent = min(max(self.voice_percent + change, 0), 100)
            self.separator.set_property('guide-level', self.voice_percent / 100)
            self.show()
        return True

    def run(self):
        is_terminal = sys.stdin.isatty()
        before = termios.tcgetattr(sys.stdin) if is_terminal else None
        GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP,
                          self.on_key)
        try:
            if is_terminal:
                tty.setcbreak(sys.stdin)
            self.show()
            self.pipeline.set_state(Gst.State.PLAYING)
            self.loop.run()
        except KeyboardInterrupt:
            pass
        finally:
            self.pipeline.set_state(Gst.State.NULL)
            if is_terminal:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
            print()
        return self.exit_code


if __name__ == '__main__':
    Gst.init(None)
    if len(sys.argv) != 2:
        sys.exit('usage: voice_slider.py SONG')
    sys.exit(Player(sys.argv[1]).run())
