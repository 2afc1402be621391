#!/usr/bin/env bash
# Makes the virtual environment with Cellwire and its tools in it; says what to do when something is missing.
set -euo pipefail
venv=$1

note() { printf '\n*** %s\n\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo "$@"
    else return 1
    fi
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.11 python3.12 python3.13; do
        if command -v "$name" >/dev/null && new_enough "$name"; then echo "$name"; return; fi
    done
    return 1
}

if ! python=$(find_python); then
    note "No Python 3.11 or newer. On Debian 12 or Raspberry Pi OS: sudo apt-get install python3 python3-venv"
    exit 1
fi

# ensurepip is the part of the venv module that Debian packs apart.
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "The venv module is missing: installing the package of it"
    if ! command -v apt-get >/dev/null ||
        ! { as_root apt-get update -q && as_root apt-get install -qy "python$version-venv"; } &&
        ! as_root apt-get install -qy python3-venv; then
        note "$python has no venv module. Install it (Debian: sudo apt-get install python3-venv), then run make again"
        exit 1
    fi
fi

if [ ! -x "$venv/bin/python" ] || ! new_enough "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1
then
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt)
"${pip[@]}" -e ".[dev]"

# These only widen what the tests cover: without them the tests that need them are skipped, and say so.
for extra in strangers micropython; do
    "${pip[@]}" -e ".[$extra]" ||
        note "The extra \"$extra\" did not install here: the tests that need it will be skipped"
done
# It wants an older MQTT library than we do, for a part of it that the tests do not use.
"${pip[@]}" --no-deps mppsolar || note "mppsolar did not install here: the tests that need it will be skipped"
echo "Ready: $venv, $("$venv/bin/python" --version)"
