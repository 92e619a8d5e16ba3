"""The wiring drawings and the sketches say the same pins."""

import re
import tomllib

import pytest

from tests.hardware.drawing_seen import FOLDER, HARDWARE, WIRED, table_of

BOARDS = tomllib.loads((FOLDER / "boards.toml").read_text(encoding="utf-8"))
SKETCHED = [name for name in WIRED if "sketch" in table_of(name)]


def sketch_of(name):
    sketch = table_of(name)["sketch"]
    return (HARDWARE / f"firmware/{sketch}/{sketch}.ino").read_text(encoding="utf-8")


def digits(pin):
    return re.sub(r"\.\w+$", "", pin.split(".", 1)[1]).lstrip("~D")


def test_every_sketch_has_its_drawing():
    sketches = {path.stem for path in HARDWARE.glob("firmware/*/*.ino")}
    assert {table_of(name)["sketch"] for name in SKETCHED} == sketches


@pytest.mark.parametrize("name", SKETCHED)
def test_pins_that_a_sketch_names_are_drawn_where_it_has_them(name):
    table = table_of(name)
    named = dict(re.findall(r"^#define (PIN_\w+) (\w+)", sketch_of(name), re.MULTILINE))
    drawn = {wire["sketch"]: digits(wire["pins"][-1]) for wire in table["wire"] if "sketch" in wire}
    for constant in table.get("not_drawn", []):
        del named[constant]
    assert drawn == named


@pytest.mark.parametrize("name", SKETCHED)
def test_the_wiring_in_a_sketch_s_comment_is_the_drawing_s(name):
    """Lines like ``VCC -> 3.3V`` or ``INT1, INT2 -> leave open``, where they name known pins."""
    table = table_of(name)
    board = {part["id"]: BOARDS[part["board"]] for part in table["part"]}
    sensor, controller = table["part"][0]["id"], table["part"][-1]["id"]
    pins = {entry.split("|")[0] for entry in board[sensor]["right"]}
    theirs = {
        digits(f"x.{entry.split('|')[0]}")
        for side in ("left", "right")
        for entry in board[controller][side]
    }
    ends = {}
    for wire in table["wire"]:
        to = digits(next(pin for pin in wire["pins"] if pin.startswith(f"{controller}.")))
        ends |= {pin.split(".", 1)[1]: to for pin in wire["pins"] if pin.startswith(f"{sensor}.")}
    checked = 0
    for left, right in re.findall(
        r"^ \* {4,}([\w+-]+(?:, [\w+-]+)*) +-> (.+)", sketch_of(name), re.MULTILINE
    ):
        for pin in left.split(", "):
            if pin not in pins:
                continue
            to = re.match(r"[\w.+-]+", right)[0].lstrip("D")
            if "open" in right:
                assert pin not in ends
            elif to in theirs:
                assert ends[pin] == to
            elif to in pins:  # CS -> VCC: what that one is joined to
                assert ends[pin] == ends[to]
            else:
                continue
            checked += 1
    assert checked >= 3
