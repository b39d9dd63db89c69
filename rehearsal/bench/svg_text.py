"""How wide text in an SVG is at most, and its lines in a column of a given width.

The viewer chooses the font. Widths are those of DejaVu Sans, the widest in the chart's list, rounded up.
"""

NARROW, SLIM, PLAIN, CAPITAL, WIDE = 0.35, 0.42, 0.65, 0.79, 1.0
"""Advance widths in em."""
BOLDER = 1.18
"""How much wider the bold face is."""
CLASSES = {
    **dict.fromkeys(" iljI.,:;'|", NARROW),
    **dict.fromkeys("!ftr()[]/-", SLIM),
    **dict.fromkeys("mwMW@%×≤≥+=&#<>^~—…", WIDE),
}


def width(text: str, size: float, bold: bool = False) -> float:
    """The greatest width of a line in pixels, in a font of `size` pixels."""
    em = sum(
        CLASSES.get(one, CAPITAL if one.isupper() else PLAIN if one < "\u0250" else WIDE) for one in text
    )
    return em * size * (BOLDER if bold else 1)


def wrap(text: str, room: float, size: float, bold: bool = False) -> list[str]:
    """The text in lines of at most `room` pixels, broken at spaces, and within a word that is wider alone."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, size, bold) <= room:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for one in word:
            if lines[-1] and width(lines[-1] + one, size, bold) > room:
                lines.append("")
            lines[-1] += one
    return lines
