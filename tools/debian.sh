#!/usr/bin/env bash
# Installs Debian packages whose programs are not here, where it may; says what to do where it may not.
# Each argument is PACKAGE or PACKAGE:PROGRAM. Servers among them are for the tests alone: they are not left running.
set -euo pipefail
PATH=$PATH:/usr/sbin

missing=()
for wanted in "$@"; do
    command -v "${wanted#*:}" >/dev/null || missing+=("${wanted%:*}")
done
if [ ${#missing[@]} = 0 ]; then exit 0; fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo "$@"
    else return 1
    fi
}

# Debian starts a server as soon as it is installed, and at each boot, unless it is told not to.
policy=/usr/sbin/policy-rc.d
quietly() {
    local status=0
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy
        "$@" || status=$?
        as_root rm -f $policy
    else
        "$@" || status=$?
    fi
    if [ $status = 0 ] && [ -d /run/systemd/system ]; then
        # bluez calls its server bluetooth; the others have the name of their package.
        for unit in "${missing[@]/#bluez/bluetooth}"; do as_root systemctl disable --now "$unit" 2>/dev/null || true; done
    fi
    return $status
}

install() { quietly as_root apt-get install -qy --no-install-recommends "$@"; }

echo "Installing ${missing[*]}"
absent=("${missing[@]}")
if command -v apt-get >/dev/null && as_root apt-get update -q >&2; then
    absent=()
    if ! install "${missing[@]}" >&2; then
        # Not every release of Debian has all of them: those that it has are worth having.
        for package in "${missing[@]}"; do
            install "$package" >&2 || absent+=("$package")
        done
    fi
fi
if [ ${#absent[@]} != 0 ]; then
    printf '\n*** Install these, or the tests that need them are skipped: sudo apt-get install %s\n\n' "${absent[*]}" >&2
fi
