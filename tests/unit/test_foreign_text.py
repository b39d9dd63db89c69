"""Foreign text in messages."""

import pytest

from k3sgpu.foreign_text import escape, escape_lines


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
        ("::error file=a::no", "\\x3a:error file=a::no"),
        ("  ::stop-commands::no", "  \\x3a:stop-commands::no"),
        ("found ::1 and ::error::", "found ::1 and ::error::"),
        ("::1 port 22", "::1 port 22"),
        ("no ##[group]no", "no \\x23#[group]no"),
        ("no ##vso[task.setvariable]no", "no \\x23#vso[task.setvariable]no"),
    ],
)
def test_foreign_text_becomes_one_printable_line(foreign: object, shown: str) -> None:
    assert escape(foreign) == shown


def test_long_foreign_text_is_cut() -> None:
    assert escape("a" * 1000, limit=3) == "aaa… (1000 characters)"


def test_lines_of_a_foreign_text_are_kept_and_obeyed_by_no_ci_system() -> None:
    assert escape_lines("a\n\x1b[1mb\r\n  ::error::c") == "a\n\\x1b[1mb\\r\n  \\x3a:error::c"
    assert escape_lines("ab\ncd", limit=4) == "ab\nc… (5 characters)"
