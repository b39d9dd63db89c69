"""What commands print: nothing that changes a terminal, or that a CI system obeys."""

import json
from collections.abc import Callable

import pytest

from k3sgpu.cli.output import print_json, print_progress, print_text

HOSTILE = "gpu-1\n::error::no \x1b[31m ###vso[task.setvariable]no ##[group]"


@pytest.mark.parametrize("show", [print_text, print_progress])
def test_printed_text_is_obeyed_by_no_terminal_or_ci_system(
    show: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show(HOSTILE)
    printed = "".join(capsys.readouterr())
    assert printed == ("gpu-1\n\\x3a:error::no \\x1b[31m #\\x23#vso[task.setvariable]no \\x23#[group]\n")


def test_printed_json_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": HOSTILE})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": HOSTILE}
    assert printed.isascii() and "\x1b" not in printed and "##" not in printed
