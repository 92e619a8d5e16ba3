#!/usr/bin/env bash
# Makes a virtual environment with Homeward in it. tests/run sources it; called by itself it also
# runs a command in there:
#
#   bash tests/setup.sh homeward demo

# setup_venv DIR PYTHON WHAT: DIR holds an environment of PYTHON with WHAT installed.
setup_venv() {
  local dir=$1 python=$2 what=$3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Homeward needs Python 3.11 or later; $("$python" --version) is $python" >&2
    return 1
  }
  if [ ! -x "$dir/bin/pip" ]; then
    rm -rf "$dir"
    if ! "$python" -m venv "$dir" 2>/dev/null; then
      # Debian keeps venv in a package of its own.
      install_package python3-venv
      "$python" -m venv "$dir"
    fi
  fi
  "$dir/bin/pip" install --quiet --disable-pip-version-check --editable "$what"
}

# rig_packages WHAT=PACKAGE ...: sees that what the test rigs need is there, a command or a file. Where
# nothing may be installed without asking, the tests that need it are skipped and say which package
# they miss.
rig_packages() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || [ -e "${pair%%=*}" ] || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    install_package "${missing[@]}"
  else
    echo "== not there: ${missing[*]}; the tests that need them are skipped" >&2
  fi
}

install_package() {
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  echo "installing from the system's packages: $*" >&2
  $sudo apt-get update -qq &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# other_python: path of a later Python than the main one, if the machine has one that works.
other_python() {
  local version candidate versions=${PYENV_ROOT:-$HOME/.pyenv}/versions
  for version in 3.13 3.14 3.12; do
    for candidate in "python$version" "$versions/$version".*/bin/python3; do
      candidate=$(command -v "$candidate" 2>/dev/null) || continue
      if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$candidate"
        return
      fi
    done
  done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  cd "$(dirname "$0")/.."
  [ $# -gt 0 ] || set -- homeward --help
  setup_venv .venv python3 .
  exec ".venv/bin/$1" "${@:2}"
fi
