#!/usr/bin/env bash
# Makes the environment with Home Assistant that tests/mqtt/test_home_assistant.py asks whether it takes our discovery.
# About 3 minutes and 830 MB, with gcc and Python 3.13; HOMEASSISTANT_PYTHON may name the interpreter.
set -euo pipefail
venv=${1:?usage: tools/homeassistant.sh DIRECTORY}

fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }

candidates() {
    printf '%s\n' "${HOMEASSISTANT_PYTHON:-}" python3.13
    if command -v pyenv >/dev/null; then
        pyenv versions --bare | while read -r version; do echo "$(pyenv prefix "$version")/bin/python"; done
    fi
}

if [ ! -x "$venv/bin/python" ]; then
    found=
    for candidate in $(candidates); do
        if fits "$candidate"; then found=$candidate; break; fi
    done
    if [ -z "$found" ]; then
        echo "*** No Python 3.13 here: install it, or set HOMEASSISTANT_PYTHON" >&2
        exit 1
    fi
    "$found" -m venv "$venv"
fi
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" "setuptools<80" wheel
# The newest for Python 3.13.0 and 3.13.1, and what its integrations used here ask for.
"${pip[@]}" homeassistant==2025.4.4
"${pip[@]}" paho-mqtt==2.1.0 home-assistant-frontend==20250411.0 Pillow==11.1.0
echo "Ready: CELLWIRE_HOMEASSISTANT=$venv"
