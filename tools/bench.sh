#!/usr/bin/env bash
# Makes the environment in which decoding is measured beside aiobmsble, which needs Python 3.12 or 3.13; prints its
# interpreter. Without such a Python the ordinary environment is printed, and the bench says what is missing.
set -euo pipefail
venv=$1
bench=$venv-bench

fits() { "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; }

candidates() {
    printf '%s\n' "${BENCH_PYTHON:-}" "$venv/bin/python" python3.13 python3.12
    if command -v pyenv >/dev/null; then
        pyenv versions --bare | while read -r version; do echo "$(pyenv prefix "$version")/bin/python"; done
    fi
}

if [ ! -x "$bench/bin/python" ]; then
    found=
    for candidate in $(candidates); do
        if fits "$candidate"; then found=$candidate; break; fi
    done
    if [ -z "$found" ]; then
        echo "*** No Python 3.12 or 3.13 here: decoding is measured without aiobmsble (or set BENCH_PYTHON)" >&2
        echo "$venv/bin/python"
        exit
    fi
    "$found" -m venv "$bench"
fi
"$bench/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]" >&2
echo "$bench/bin/python"
