#!/usr/bin/env bash
# Installs what the project needs from Debian or Ubuntu packages, if it is missing.
#
#   examples/setup.sh            to build and run
#   examples/setup.sh --tests    to build and run the tests as well
#
# Prints nothing when everything is there. Uses sudo when not root.
set -euo pipefail

packages=(g++ meson ninja-build pkg-config
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  libtorch-dev libgloo-dev libopenblas0-pthread libfftw3-dev libsndfile1-dev libsoxr-dev nlohmann-json3-dev libcli11-dev)
[ "${1:-}" = --tests ] && packages+=(libgtest-dev libgmock-dev python3-gi gir1.2-gstreamer-1.0)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
if ! command -v apt-get >/dev/null; then
  echo "setup: this system has no apt-get; install by hand: ${missing[*]}" >&2
  exit 1
fi
echo "setup: installing ${missing[*]}"
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
