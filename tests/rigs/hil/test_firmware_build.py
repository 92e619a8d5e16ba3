"""`hardware/firmware/build`: every target fits its processor, and what is missing is named."""

import os
import subprocess

import pytest

from tests.rigs.hil.avr import FIRMWARE, need_tools

LIMIT_FLASH, LIMIT_RAM = 32256, 2048
SKETCHES = {path.parent.name for path in FIRMWARE.glob("*/*.ino")}


def build(*words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": path} if path is not None else {})
    return subprocess.run(
        [FIRMWARE / "build", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


def test_every_sketch_is_a_target():
    assert set(build("--list").stdout.split()) >= SKETCHES
    assert "ad8232" in SKETCHES


def test_every_sketch_fits_an_uno_with_a_third_of_its_memory_left_for_the_stack(tmp_path):
    need_tools()
    made = build("--out", str(tmp_path), *sorted(SKETCHES))

    assert made.returncode == 0, made.stderr
    assert made.stderr == ""  # not one warning
    table = {line.split()[0]: line.split()[1:] for line in made.stdout.splitlines()[1:]}
    assert set(table) == SKETCHES
    for target, (processor, flash, ram, *_) in table.items():
        print(f"{target}: {flash} bytes of flash, {ram} of RAM")
        assert processor == "atmega328p"
        assert 2000 < int(flash) < LIMIT_FLASH
        assert 200 < int(ram) < LIMIT_RAM * 2 / 3
        assert (tmp_path / f"{target}.hex").read_text().startswith(":")
        assert (tmp_path / f"{target}.elf").stat().st_size > int(flash)


def test_a_missing_compiler_is_named_with_its_package(tmp_path):
    for command in ("bash", "dirname", "basename", "mkdir"):
        (tmp_path / command).symlink_to(f"/usr/bin/{command}")
    made = build("--out", str(tmp_path / "out"), "ad8232", path=str(tmp_path))

    assert made.returncode == 1
    assert "no avr-gcc: install the package gcc-avr" in made.stderr


def test_a_missing_core_is_named_with_its_package(tmp_path, monkeypatch):
    need_tools()
    monkeypatch.setenv("ARDUINO_AVR", str(tmp_path))
    made = build("--out", str(tmp_path / "out"), "ad8232")

    assert made.returncode == 1
    assert "install the package arduino-core-avr" in made.stderr


@pytest.mark.parametrize("words", [("nothing",), ("--nothing",), ("--out",), ("-D",)])
def test_what_it_does_not_know_is_refused(words):
    made = build(*words)

    assert made.returncode == 1
    assert made.stderr.startswith("build: ")


def test_a_firmware_that_is_too_large_is_refused(tmp_path):
    need_tools()
    made = build("--out", str(tmp_path), "-D", "QUEUE_LENGTH=256u", "ad8232")

    assert made.returncode == 1
    assert "ad8232" in made.stderr


def test_the_page_and_the_settings_of_platformio_know_every_sketch():
    page = (FIRMWARE / "README.md").read_text()

    for sketch in SKETCHES:
        assert f"[{sketch}]({sketch}/{sketch}.ino)" in page
    assert "lib_deps = symlink://../common" in (FIRMWARE / "platformio.ini").read_text()
    assert (FIRMWARE.parent / "common" / "library.properties").exists()
