#!/usr/bin/env bash
# Makes an environment with the library aiobmsble and the recordings that its own tests are done with, and prints its
# Python: breadth.sh VENV. The library needs Python 3.12 or newer; where there is none, this prints nothing.
set -euo pipefail
venv=$1-breadth
recorded=$venv/recorded

fits() { "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; }

candidates() {
    printf '%s\n' "${BREADTH_PYTHON:-}" "$1/bin/python" python3.13 python3.12
    if command -v pyenv >/dev/null; then
        pyenv versions --bare | while read -r version; do echo "$(pyenv prefix "$version")/bin/python"; done
    fi
}

if [ ! -x "$venv/bin/python" ]; then
    found=
    for candidate in $(candidates "$1"); do
        if fits "$candidate"; then found=$candidate; break; fi
    done
    if [ -z "$found" ]; then
        printf '\n*** No Python 3.12 or 3.13 here: the packs of other makers are not tested (or set BREADTH_PYTHON)\n\n' >&2
        exit
    fi
    "$found" -m venv "$venv"
fi
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet -c constraints.txt -e ".[aiobmsble,proxy]" aiooui hypothesis pytest pytest-asyncio pytest-xdist >&2

# The recordings are in the source archive only, as tests of the very version that is installed.
version=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("aiobmsble"))')
if [ ! -d "$recorded/$version" ]; then
    rm -rf "$recorded"
    mkdir -p "$recorded"
    "${pip[@]}" download --quiet --no-deps --no-binary :all: -d "$recorded" "aiobmsble==$version" >&2
    tar -xzf "$recorded"/aiobmsble-*.tar.gz -C "$recorded"
    mv "$recorded/aiobmsble-$version" "$recorded/$version"
fi
echo "$venv/bin/python"
