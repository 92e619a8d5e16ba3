#!/usr/bin/env bash
# Builds firmware for a Cortex-M3: the machine mps2-an385 of QEMU.
#
#   build.sh --list                      name the targets
#   build.sh [--out DIR] [TARGET ...]    build the targets named, or all of them, as DIR/TARGET.elf
#   --attach FILE                        link this C file too, and others so named: virtual chips on
#                                        the pins and buses of an Arduino sketch (tests/rigs/hil)
#
# Prints a line for each: target, processor, flash and RAM it uses and may use (bytes), with tabs.
# Needs the package gcc-arm-none-eabi and nothing else: no C library is linked, but with --attach,
# where libnewlib-arm-none-eabi is needed too.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
firmware=$(dirname "$here")
common=$firmware/../common/src
out=$firmware/out
machine=(-mcpu=cortex-m3 -mthumb)
made=(-Os -g -ffreestanding -ffunction-sections -fdata-sections -fno-common)
strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
ours=(-I"$here" -I"$common")
linked=(-nostdlib -static -Wl,--gc-sections -Wl,--fatal-warnings -T "$here/mps2.ld")

fail() {
  echo "cortexm/build.sh: $*" >&2
  exit 1
}

# Arduino sketches that run here too, beside our own board.
targets() {
  printf '%s\n' cortexm-{ecg,ads1292r,max30102,accelerometer}
}

compile_c() { # FILE
  arm-none-eabi-gcc -c "${machine[@]}" "${made[@]}" -std=c99 "${strict[@]}" "${ours[@]}" "$1" \
    -o "$work/$(basename "$1").o"
}

compile_cpp() { # FILE
  arm-none-eabi-g++ -c "${machine[@]}" "${made[@]}" -std=gnu++11 -fno-exceptions -fno-rtti \
    -fno-threadsafe-statics "${strict[@]}" "${ours[@]}" -I"$here/arduino" -include Arduino.h \
    -x c++ "$1" -o "$work/$(basename "$1").o"
}

# Files of a rig are checked with the flags of the host's compiler that they are written for.
compile_attached() { # FILE
  local file folders=()
  for file in "${attached[@]}"; do
    folders+=(-I"$(dirname "$file")")
  done
  arm-none-eabi-gcc -c "${machine[@]}" -Os -g -ffunction-sections -std=gnu11 -Wall -Wextra -Werror \
    "${folders[@]}" "${ours[@]}" -I"$here/arduino" "$1" -o "$work/$(basename "$1").o"
}

build_ecg() { # TARGET
  local file
  for file in "$here"/{startup,libc,uart,clock,converter_uart,ecg}.c "$common"/hw_{packet,board}.c; do
    compile_c "$file"
  done
  link "$1"
}

build_sketch() { # TARGET
  local name=${1#cortexm-} file
  for file in "$here"/{startup,libc,uart,clock}.c "$common"/*.c; do
    compile_c "$file"
  done
  compile_cpp "$here/arduino/core.cpp"
  compile_cpp "$firmware/$name/$name.ino"
  if ((${#attached[@]})); then
    for file in "${attached[@]}"; do
      compile_attached "$file"
    done
    # The board has room for a C library and the chips; the sketch needs no more than before.
    link "$1" -Wl,--defsym=flash_size=4M,--defsym=ram_size=1M,--defsym=more_stack=16K -lc
  else
    compile_c "$here/arduino/attached_nothing.c"
    link "$1"
  fi
}

# Link what was compiled. The RAM counts the stack.
link() { # TARGET [OPTION ...]
  local elf=$out/$1.elf target=$1
  shift
  arm-none-eabi-gcc "${machine[@]}" "${linked[@]}" "$work"/*.o "$@" -lgcc -o "$elf"
  printf '%s\tcortex-m3\t%s\t%s\t%s\t%s\n' "$target" \
    "$(sections "$elf" .text .ARM.exidx .data)" "$(sections "$elf" .stack .data .bss .noinit)" \
    65536 20480
}

sections() { # ELF SECTION ...
  local elf=$1
  shift
  arm-none-eabi-size -A "$elf" |
    awk -v names=" $* " 'index(names, " " $1 " ") { n += $2 } END { print n + 0 }'
}

main() {
  local wanted=() target
  attached=()
  while (($#)); do
    case $1 in
      --list)
        targets
        return
        ;;
      --out)
        (($# > 1)) || fail "--out needs a directory"
        out=$2
        shift
        ;;
      --attach)
        (($# > 1)) || fail "--attach needs a file"
        attached+=("$2")
        shift
        ;;
      -*) fail "no option $1" ;;
      *) wanted+=("$1") ;;
    esac
    shift
  done
  ((${#wanted[@]})) || mapfile -t wanted < <(targets)
  command -v arm-none-eabi-gcc >/dev/null ||
    fail "no arm-none-eabi-gcc: install the package gcc-arm-none-eabi"
  mkdir -p "$out"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  for target in "${wanted[@]}"; do
    rm -f "$work"/*.o
    case $target in
      cortexm-ecg) build_ecg "$target" ;;
      cortexm-ads1292r | cortexm-max30102 | cortexm-accelerometer) build_sketch "$target" ;;
      *) fail "no target $target; there are: $(targets | tr '\n' ' ')" ;;
    esac
  done
}

main "$@"
