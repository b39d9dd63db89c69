"""Foreign text in messages."""

import pytest

from k3sgpu.foreign_text import escape


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("NVIDIA H200", "NVIDIA H200"),
        ("Größe 10 µs", "Größe 10 µs"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("ok\n::error::no", "ok\\n::error::no"),
        ("ok\r\tno", "ok\\r\\tno"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        (5, "5"),
    ],
)
def test_foreign_text_becomes_one_printable_line(foreign: object, shown: str) -> None:
    assert escape(foreign) == shown


def test_long_foreign_text_is_cut() -> None:
    assert escape("a" * 1000, limit=3) == "aaa… (1000 characters)"
