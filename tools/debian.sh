#!/usr/bin/env bash
# Installs Debian packages whose programs are not here, where it may; says what to do where it may not.
set -euo pipefail

missing=()
for package in "$@"; do
    command -v "$package" >/dev/null || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then exit 0; fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo "$@"
    else return 1
    fi
}

echo "Installing ${missing[*]}"
if ! command -v apt-get >/dev/null ||
    ! { as_root apt-get update -q && as_root apt-get install -qy --no-install-recommends "${missing[@]}"; } >&2; then
    printf '\n*** Install these, or the tests that need them are skipped: sudo apt-get install %s\n\n' "${missing[*]}" >&2
fi
