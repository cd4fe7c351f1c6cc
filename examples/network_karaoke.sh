#!/usr/bin/env bash
# A network stream in, its karaoke version out, until Ctrl-C. RTP with 16-bit stereo at 44.1 kHz (L16) over UDP:
#
#   examples/network_karaoke.sh [IN_PORT] [OUT_PORT] [OUT_HOST]      default: 5004 5006 127.0.0.1
#
# Send to it and listen to it, each in a terminal of its own:
#   gst-launch-1.0 filesrc location=SONG ! decodebin ! audioconvert ! audioresample ! audio/x-raw,rate=44100,channels=2 ! \
#     rtpL16pay ! udpsink host=127.0.0.1 port=5004
#   gst-launch-1.0 udpsrc port=5006 caps="$RTP_CAPS" ! rtpjitterbuffer ! rtpL16depay ! audioconvert ! autoaudiosink
# where RTP_CAPS='application/x-rtp,media=audio,clock-rate=44100,encoding-name=L16,channels=2'
set -euo pipefail
in_port=${1:-5004}
out_port=${2:-5006}
out_host=${3:-127.0.0.1}
caps='application/x-rtp,media=(string)audio,clock-rate=(int)44100,encoding-name=(string)L16,channels=(int)2'
exec gst-launch-1.0 -e \
  udpsrc port="$in_port" caps="$caps" ! rtpjitterbuffer latency=100 ! rtpL16depay ! audioconvert ! audioresample ! \
  bsmamba2sep name=s latency=$((${LATENCY_MS:-1000} * 1000000)) \
  s.instrumental ! audioconvert ! audioresample ! audio/x-raw,rate=44100,channels=2 ! rtpL16pay ! \
  udpsink host="$out_host" port="$out_port"
