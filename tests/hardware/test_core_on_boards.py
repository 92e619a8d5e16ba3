"""The C core on the processors it is meant for: it compiles, is small, and makes the same bytes."""

import re
import subprocess

import pytest

from tests.hardware import c_core

AVR = ("avr-gcc", "gcc-avr", "-mmcu=atmega328p")
CORTEX_M = ("arm-none-eabi-gcc", "gcc-arm-none-eabi", "-mcpu=cortex-m3", "-mthumb")
DIGEST = c_core.HERE / "core_digest.c"


def ran(*command):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def flash_bytes(compiler, tmp_path):
    """Return the bytes of code and tables the core takes on a processor."""
    program, package, *flags = compiler
    program = c_core.needs(program, package)
    total = 0
    for source in c_core.CORE:
        out = tmp_path / f"{source.stem}.o"
        ran(program, *c_core.STRICT, *flags, "-Os", "-c", source, "-o", out)
        text, data, bss = ran(program.replace("gcc", "size"), out).splitlines()[1].split()[:3]
        assert (data, bss) == ("0", "0"), "the core keeps nothing of its own"
        total += int(text)
    return total


@pytest.mark.parametrize(("compiler", "most"), [(AVR, 3_300), (CORTEX_M, 1_900)])
def test_the_core_compiles_strictly_and_is_small(compiler, most, tmp_path):
    assert 500 < flash_bytes(compiler, tmp_path) < most


def test_an_avr_makes_the_same_bytes_as_this_machine_and_takes_few_cycles(tmp_path):
    program, package, *flags = AVR
    avr_gcc = c_core.needs(program, package)
    simavr = c_core.needs("simavr", "simavr")
    sources = (DIGEST, *c_core.CORE)
    elf = tmp_path / "digest.elf"
    ran(avr_gcc, *c_core.STRICT, *flags, "-DF_CPU=16000000UL", "-Os", *sources, "-o", elf)
    said = ran(simavr, "-m", "atmega328p", "-f", "16000000", elf)
    plain = re.sub(r"\x1b\[\d*m", "", said)  # simavr prints in colour
    on_avr = re.findall(r"^(\w+) ([0-9A-F]{8})\b", plain, re.MULTILINE)
    assert on_avr[-1] == ("end", "00000000"), said

    here = ran(c_core.compiled(tmp_path / "digest", sources, "-O2"))
    digests = [tuple(line.split()) for line in here.splitlines()]
    assert [name for name, _ in digests] == ["frames", "numbers", "heard", "board"]
    assert on_avr[:4] == digests

    # Ten rows a frame, two channels of 16 bits: the first row begins the frame, the last ends it.
    cycles = {name: int(value, 16) for name, value in on_avr[4:]}
    assert cycles["cycles_first"] < 2_000
    assert cycles["cycles_last"] < 1_500
    mean = cycles["cycles_first"] + 8 * cycles["cycles_row"] + cycles["cycles_last"]
    assert mean / 10 < 1_000


def test_no_choice_of_the_compiler_changes_a_byte(tmp_path):
    sources = (DIGEST, *c_core.CORE)
    plain = ran(c_core.compiled(tmp_path / "plain", sources, "-O0"))
    odd = ran(c_core.compiled(tmp_path / "odd", sources, "-O3", "-funsigned-char"))
    checked = ran(c_core.compiled(tmp_path / "checked", sources, *c_core.SANITISED))
    assert plain == odd == checked


@pytest.mark.parametrize("compiler", [("gcc", "gcc"), AVR, CORTEX_M])
def test_the_firmware_on_the_page_compiles(compiler, tmp_path):
    program, package, *flags = compiler
    program = c_core.needs(program, package)
    page = (c_core.SOURCES.parent / "README.md").read_text(encoding="utf-8")
    (firmware,) = re.findall(r"^```c\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    source = tmp_path / "firmware.c"
    source.write_text(firmware)
    ran(program, *c_core.STRICT, *flags, "-Os", "-c", source, "-o", tmp_path / "firmware.o")


def test_the_size_of_a_board_in_memory_is_what_the_page_says(tmp_path):
    program, package, *flags = AVR
    program = c_core.needs(program, package)
    source = tmp_path / "board.c"
    source.write_text('#include "hw_board.h"\nhw_board board;\n')
    out = tmp_path / "board.o"
    ran(program, *c_core.STRICT, *flags, "-fno-common", "-c", source, "-o", out)
    bss = int(ran(program.replace("gcc", "size"), out).splitlines()[1].split()[2])
    assert 450 < bss < 540
