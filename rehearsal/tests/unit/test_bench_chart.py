"""The chart of the benchmarks: what it shows, that nothing overlaps, and that its colours can be seen."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from typing import NamedTuple

import pytest

from rehearsal.bench import svg_chart, svg_text
from rehearsal.bench.measure import Part, Series, within
from rehearsal.bench.svg_chart import BARS_AT, BARS_ROOM, DARK, LIGHT

LONG_NAME = "a baseline with a name of many words " * 3
LONG = "a case with many words in its name: 1,000 agents, 5,011 Commands and Onewordthatiswiderthanitscolumn"
SVG = "{http://www.w3.org/2000/svg}"


def part(letter: str, base: str, medians: dict[str, dict[str, float]], **goals: float) -> Part:
    """A part with one round. `goals` limit "pulumi up" by contender in every case."""
    of = {
        case: {name: Series(case, name, (value,)) for name, value in by.items()}
        for case, by in medians.items()
    }
    limits = tuple(
        within("", by["pulumi up"], by[other], times) for by in of.values() for other, times in goals.items()
    )
    return Part(
        letter,
        f"Part {letter} <&>",
        "",
        base,
        tuple(one for by in of.values() for one in by.values()),
        limits,
    )


PARTS = {
    "a": part(
        "a",
        "by hand",
        {
            "1+1": {"pulumi up": 12.0, "by hand": 10.0, "k3sup": 8.0, "k3s-ansible": 70.0},
            LONG: {
                "pulumi up": 10_500,
                "by hand": 10_000,
                "k3sup": 9_000,
                "a peer with a quite long name": 90_000,
            },
        },
        **{"by hand": 1.15, "k3sup": 1.0},
    ),
    "b": part("b", LONG_NAME, {"preview": {"pulumi preview": 2.0, LONG_NAME: 1.0}}),
    "e": part("e", "flat program", {"up": {"pulumi up": 2.2, "flat program": 2.0}}),
    "f": part("f", "", {"1,000 nodes": {"all fit": 0.5}}),
}


class Box(NamedTuple):
    """What a text or bar covers."""

    name: str
    left: float
    right: float
    top: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, other: "Box") -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def drawn(parts: dict[str, Part] = PARTS) -> ElementTree.Element:
    return ElementTree.fromstring(svg_chart.chart(parts))


def texts(root: ElementTree.Element) -> list[Box]:
    boxes = []
    for one in root.iter(f"{SVG}text"):
        size, text = float(one.get("font-size", "")), one.text or ""
        room = svg_text.width(text, size, one.get("font-weight") is not None)
        left = (
            float(one.get("x", "")) - room * {"start": 0, "middle": 0.5, "end": 1}[one.get("text-anchor", "")]
        )
        y = float(one.get("y", ""))
        boxes.append(Box(text, left, left + room, y - size, y + size * 0.25))
    return boxes


def bars(root: ElementTree.Element) -> list[Box]:
    found = []
    for one in root.iter(f"{SVG}path"):
        x = [float(value) for value in re.findall(r"[MHL]([\d.]+)", one.get("d", ""))]
        y = [float(value) for value in re.findall(r"(?:V|[ML][\d.]+ )([\d.]+)", one.get("d", ""))]
        found.append(Box(one.get("class", ""), min(x), max(x), min(y), max(y)))
    return found


def lines(root: ElementTree.Element, colour: str) -> list[Box]:
    found = []
    for one in root.iter(f"{SVG}line"):
        if one.get("class") == f"s-{colour}":
            left, right, top, bottom = (float(one.get(name, "")) for name in ("x1", "x2", "y1", "y2"))
            found.append(Box(colour, left, right, top, bottom))
    return found


def test_bars_are_multiples_of_the_baseline() -> None:
    lengths = [(one.right - one.left) / BARS_ROOM * svg_chart.CUT_AT for one in bars(drawn())]
    assert lengths == pytest.approx([1.2, 0.8, 2.5, 1.05, 0.9, 2.5, 2.0, 1.1], abs=0.01)
    shown = {one.name for one in texts(drawn())}
    assert {"(a) Part a <&>", "1.20 ×", "12.0 s", "7.00 ×", "70.0 s", "baseline 10.0 s"} <= shown
    assert not any("Part f" in one for one in shown)


def test_only_a_longer_bar_than_the_axis_is_pointed() -> None:
    pointed = [one.get("d", "").count("L") > 0 for one in drawn().iter(f"{SVG}path")]
    assert pointed == [False, False, True, False, False, True, False, False]
    assert any("cut at 2.5 ×" in one.name for one in texts(drawn()))
    short = drawn({"e": PARTS["e"]})
    assert not any("cut" in one.name for one in texts(short))
    assert [one.right for one in bars(short)] == pytest.approx([BARS_AT + BARS_ROOM * 1.1 / 1.5], abs=0.1)


def test_a_goal_is_drawn_at_its_strictest_limit() -> None:
    marks = [
        one for one in lines(drawn(), "ink") if one.left > BARS_AT and one.top > bars(drawn())[0].top - 9
    ]
    found = [(one.left - BARS_AT) / BARS_ROOM * svg_chart.CUT_AT for one in marks]
    assert found == pytest.approx([0.8, 0.9], abs=0.01)


def test_no_text_overlaps_another_text_or_a_bar() -> None:
    root = drawn()
    words = texts(root)
    assert not [(one.name, other.name) for one, other in combinations(words, 2) if one.overlaps(other)]
    things = [*bars(root), *lines(root, "pale"), *lines(root, "ink"), *lines(root, "grid")]
    assert not [(one.name, other) for one in words for other in things if one.overlaps(other)]
    sheet = Box("", 0, float(root.get("width", "")), 0, float(root.get("height", "")))
    assert not [one.name for one in words if not one.inside(sheet)]


def test_each_contender_has_one_colour() -> None:
    root = drawn()
    legend = {one.get("class") for one in root.iter(f"{SVG}rect")} - {"sheet"}
    assert legend == {one.name for one in bars(root)} == {"c0", "c1", "c2", "c3"}
    names = [one.name for one in texts(root)]
    assert names.count("this program: pulumi up, pulumi preview") == 1
    assert {"k3sup", "k3s-ansible", "a peer with a quite long name", "baseline"} <= set(names)


def test_many_contenders_can_still_be_drawn() -> None:
    many = {"pulumi up": 1.0, **{f"peer {n}": 1.0 for n in range(8)}, "by hand": 1.0}
    root = drawn({"a": part("a", "by hand", {"1+1": many})})
    assert {one.name for one in bars(root)} == LIGHT.keys() - {"sheet", "ink", "pale", "grid"}
    assert not [pair for pair in combinations(texts(root), 2) if pair[0].overlaps(pair[1])]


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast_is_enough_in_both_schemes(scheme: dict[str, str]) -> None:
    sheet = luminance(scheme["sheet"])
    found = {name: contrast(luminance(colour), sheet) for name, colour in scheme.items()}
    assert all(found[name] >= 4.5 for name in ("ink", "pale"))  # text
    assert all(value >= 3 for name, value in found.items() if re.fullmatch(r"c\d", name))  # graphics
    root = drawn()
    assert {one.get("class") for one in root.iter(f"{SVG}text")} == {"ink", "pale"}
    style = root.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme:dark)")
    rules = dark if scheme is DARK else light
    assert all(f".{name}{{fill:{colour}}}" in rules for name, colour in scheme.items())


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_text_is_wrapped_within_its_room() -> None:
    lines = svg_text.wrap(LONG, 120, 14)
    assert all(svg_text.width(line, 14) <= 120 for line in lines)
    assert "".join("".join(lines).split()) == LONG.replace(" ", "")
