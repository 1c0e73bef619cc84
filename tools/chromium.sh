#!/bin/sh
# Prints the path of a Chromium for the browser tests: $CHROMIUM, else one on PATH, else one installed by apt-get.
set -eu

find_one() {
  for name in chromium chromium-browser google-chrome-stable google-chrome; do
    command -v "$name" && return 0
  done
  return 1
}

if [ -n "${CHROMIUM:-}" ]; then
  [ -x "$CHROMIUM" ] || { echo "CHROMIUM=$CHROMIUM is not a program." >&2; exit 1; }
  echo "$CHROMIUM"
  exit 0
fi
find_one && exit 0

if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo -n"; fi
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
  echo "Installing Chromium" >&2
  { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu-core; } >&2 || true
  find_one && exit 0
fi
echo "The browser tests need Chromium: install it, or set CHROMIUM to the path of a Chromium or Chrome, and run make again." >&2
exit 1
