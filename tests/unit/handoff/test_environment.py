"""Texts in environment variables."""

import pytest

from k3sgpu.handoff import environment
from k3sgpu.handoff.environment import read_variable, split_variable


@pytest.mark.parametrize(("length", "variables"), [(0, 1), (9, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_split_text_is_read_back_whole(monkeypatch, length, variables):
    monkeypatch.setattr(environment, "MAX_CHARACTERS", 10)
    text = "".join(str(number % 10) for number in range(length))
    split = split_variable("K3SGPU_TEXT", text)
    assert len(split) == variables and all(len(part) <= 10 for part in split.values())
    for name, part in split.items():
        monkeypatch.setenv(name, part)
    assert read_variable("K3SGPU_TEXT") == text


def test_unset_variable_is_empty():
    assert read_variable("K3SGPU_UNSET") == ""
