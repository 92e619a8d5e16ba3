"""hardware/README.md promises nothing that is not there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "hardware/README.md"
WORDS = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?:^ +|`)homeward ([a-z]+)((?: [^`#\n]+)?)", WORDS, re.MULTILINE)


def test_every_link_leads_to_something():
    links = [link for link in re.findall(r"\]\(([^)#]+)", WORDS) if "://" not in link]
    assert len(links) >= 12
    for link in links:
        assert (PAGE.parent / link).exists(), link


def test_every_drawing_is_shown():
    shown = set(re.findall(r"!\[[^\]]+\]\(drawings/(\w+)\.svg\)", WORDS))
    assert shown == {path.stem for path in (ROOT / "hardware/drawings").glob("*.svg")}


def test_what_every_maker_must_read_comes_before_the_first_build():
    safety, builds = WORDS.index("## Read this first"), WORDS.index("## What can be built")
    assert safety < builds
    for word in ("mains", "isolator", "Pacemaker", "Defibrillator", "Oxygen", "Skin", "strangle"):
        assert word in WORDS[safety:builds], word
    assert "medical device" in WORDS[:safety]


def test_every_firmware_named_can_be_built():
    built = subprocess.run(
        [ROOT / "hardware/firmware/build", "--list"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.split()
    named = re.findall(r"hardware/firmware/build (\w+)", WORDS)
    assert set(named) | {"ads1292r"} <= set(built)
    assert set(re.findall(r"(\w+)\.hex", WORDS)) == set(named)


def homeward(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "edge", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "TERM": "dumb"},
    )


@pytest.mark.parametrize(("command", "rest"), sorted(set(COMMANDS)))
def test_every_command_named_is_one(command, rest):
    asked = homeward(command, "--help")
    assert asked.returncode == 0, asked.stderr
    for option in re.findall(r"--[a-z]+", rest):
        assert option in asked.stdout, option


def test_the_settings_shown_are_taken(tmp_path):
    shown = re.findall(r"```toml\n(.*?)```", WORDS, re.DOTALL)
    assert len(shown) == 1
    (tmp_path / "homeward.toml").write_text(shown[0], encoding="utf-8")
    asked = homeward("config", "--config", str(tmp_path / "homeward.toml"))
    assert asked.returncode == 0, asked.stdout + asked.stderr
    for i, table in enumerate(tomllib.loads(shown[0])["sources"]):
        for key, value in table.items():
            assert re.search(rf"sources\[{i}\]\.{key} +\"?{value}\"? ", asked.stdout), (i, key)


def test_the_rules_it_copies_are_there():
    assert (ROOT / "systemd/60-homeward-serial.rules").is_file()
    assert "cp systemd/60-homeward-serial.rules /etc/udev/rules.d/" in WORDS
