"""The drawings of hardware/: as their tables say, and fit to be read by everybody."""

import re
import shutil
import subprocess
import sys
from itertools import combinations

import pytest

from tests.hardware.drawing_seen import (
    DRAWINGS,
    FOLDER,
    HALF_WIRE,
    SVG,
    WIRED,
    contrast,
    seen,
    table_of,
    true_width,
)

MADE = ("ad8232_uno", "ads1292r_arm", "adxl345_uno", "electrodes", "isolation", "max30102_uno")
ON_THE_PI = ("pi_gpio", "pi_i2c")

# Okabe and Ito's eight colours, and paper, two greys of our own.
PALETTE = {
    *("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
    *("#FFFFFF", "#F2F2F2", "#595959"),
}


def draw(*arguments):
    command = [sys.executable, str(FOLDER / "draw.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_drawing_that_is_promised_is_there():
    assert set(MADE) | set(ON_THE_PI) <= set(DRAWINGS)


def test_the_files_are_what_their_tables_say():
    checked = draw("--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_file_that_was_changed_lost_or_left_over_is_told(tmp_path):
    for path in FOLDER.glob("*.svg"):
        shutil.copy(path, tmp_path)
    changed = tmp_path / "isolation.svg"
    changed.write_text(changed.read_text(encoding="utf-8").replace("WRONG", "RIGHT"))
    (tmp_path / "electrodes.svg").unlink()
    (tmp_path / "left_over.svg").write_text("<svg/>")
    checked = draw("--check", "--to", tmp_path)
    assert checked.returncode == 1
    told = re.findall(r"(\w+)\.svg", checked.stdout)
    assert told == ["electrodes", "isolation", "left_over"]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_can_be_read_out(name):
    root = seen(name).root
    title, about = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {about.get('id')}"
    assert title.text == table_of(name)["title"]
    for wire in table_of(name).get("wire", []):
        assert wire["name"] in about.text
    for body in table_of(name).get("body", []):
        assert all(spot["where"] in about.text for spot in body["spot"])
    for chain in table_of(name).get("chain", []):
        assert chain["words"] in about.text


@pytest.mark.parametrize("name", DRAWINGS)
def test_only_colours_that_everybody_tells_apart_are_used(name):
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert set(re.findall(r"#[0-9A-Fa-f]{6}", text)) <= PALETTE
    named = set(re.findall(r'(?:fill|stroke)="([^"#]*)"', text))
    assert named <= {"none"}


@pytest.mark.parametrize("name", DRAWINGS)
def test_text_stands_out_from_what_is_behind_it(name):
    drawing = seen(name)
    filled = sorted(drawing.rects + drawing.circles)
    for text in drawing.texts:
        x = (text.box.left + text.box.right) / 2
        y = (text.box.top + text.box.bottom) / 2
        behind = [fill for i, box, fill in filled if i < text.order and box.has(x, y)]
        assert contrast(text.colour, behind[-1]) >= 4.5, text


@pytest.mark.parametrize("name", WIRED)
def test_wires_stand_out_from_the_paper(name):
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    colours = re.findall(r'stroke="(#\w{6})"[^>]*class="wire"', text)
    assert len(colours) == len(table_of(name)["wire"])
    # WCAG 2.2, 1.4.11: graphics, 3:1.
    assert all(contrast(colour, "#FFFFFF") >= 3 for colour in colours)


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_lies_on_another_or_leaves_the_sheet(name):
    drawing = seen(name)
    for one, other in combinations(drawing.texts, 2):
        assert not one.box.meets(other.box), (one, other)
    for text in drawing.texts:
        assert drawing.page.holds(text.box), text


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_text_stays_inside_the_box_it_is_in_and_is_not_covered(name):
    drawing = seen(name)
    for text in drawing.texts:
        for i, box, _ in drawing.rects:
            if box.meets(text.box):
                assert box.holds(text.box), text
                assert i < text.order, text


@pytest.mark.parametrize("name", WIRED)
def test_no_wire_runs_through_a_text_or_a_part(name):
    drawing = seen(name)
    for wire, (order, pieces) in drawing.wires.items():
        for text in drawing.texts:
            # A number in its circle lies on its wire; the circle hides the wire behind it.
            hidden = any(i > order and disc.holds(text.box) for i, disc, _ in drawing.circles)
            assert hidden or not any(p.meets(text.box) for p in pieces), (wire, text)
        for board in drawing.boards():
            assert not any(p.meets(board) for p in pieces), (wire, board)


@pytest.mark.parametrize("name", WIRED)
def test_no_two_wires_lie_on_one_another_and_no_two_parts(name):
    drawing = seen(name)
    for one, other in combinations(drawing.wires, 2):
        for a in drawing.wires[one][1]:
            for b in drawing.wires[other][1]:
                # A crossing is as small as the wires are wide.
                wide = min(a.right, b.right) - max(a.left, b.left)
                high = min(a.bottom, b.bottom) - max(a.top, b.top)
                assert not a.meets(b) or max(wide, high) <= 2 * HALF_WIRE + 0.1, (one, other)
    for one, other in combinations(drawing.boards(), 2):
        assert not one.meets(other)


@pytest.mark.parametrize("name", WIRED)
def test_every_wire_has_its_name_and_its_number_at_every_end(name):
    words = [text.words for text in seen(name).texts]
    wires = table_of(name)["wire"]
    names = [wire["name"] for wire in wires]
    for i, wire in enumerate(wires, start=1):
        assert words.count(str(i)) >= len(wire["pins"]) + 1  # and in the list
        assert words.count(wire["name"]) == 2 * names.count(wire["name"])
    # With no colours at all the line and the number still tell.
    looks = [(wire["colour"], wire["dash"]) for wire in wires]
    assert len(set(looks)) == len(looks)


def test_no_letter_is_wider_than_the_drawings_reckon(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import sheet  # noqa: PLC0415  # a script's neighbour, on the path only now

    for name in DRAWINGS:
        for mark in seen(name).root.iter(f"{SVG}text"):
            size, bold = float(mark.get("font-size")), mark.get("font-weight") == "bold"
            reckoned = sheet.text_width(mark.text, size, bold=bold)
            assert reckoned >= true_width(mark.text, size, bold) - 1.5, mark.text


def test_the_resistors_keep_the_currents_they_are_computed_for():
    parts = {part["id"]: part for part in table_of("pi_gpio")["part"]}
    shown = " ".join(text.words for text in seen("pi_gpio").texts)
    values = {f"r{n}": int(ohm) for n, ohm in re.findall(r"R(\d) +(\d+) Ω", shown)}
    for name, ohm in values.items():
        rule = parts[name]["resistor"]
        current_ma = (rule["supply_v"] - rule["drop_v"]) / ohm * 1000
        if rule["round"] == "up":
            assert 0.8 * rule["current_ma"] < current_ma <= rule["current_ma"]
        else:
            assert rule["current_ma"] <= current_ma < 1.25 * rule["current_ma"]
        assert current_ma < 16  # what a GPIO pin bears
    assert sorted(values) == ["r1", "r2", "r3"]


def test_they_can_be_made_into_pictures(tmp_path):
    rsvg = shutil.which("rsvg-convert")
    if rsvg is None:
        pytest.skip("no rsvg-convert: install the package librsvg2-bin")
    for name in DRAWINGS:
        out = tmp_path / f"{name}.png"
        command = [rsvg, "-o", str(out), str(FOLDER / f"{name}.svg")]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        assert out.stat().st_size > 10_000
