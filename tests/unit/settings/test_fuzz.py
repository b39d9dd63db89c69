"""Any stack file gives Settings or a SettingsError with a path, never another exception."""

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import capacity
from k3sgpu import settings as s
from tests.data.stack_files import GOOD
from tests.unit.settings.test_fields import FIELDS

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "k3s-gpu-sharing:"
STEADY = settings(max_examples=150, derandomize=True, deadline=None, database=None)


def _file(name: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())["config"]
    return {key.removeprefix(PREFIX): value for key, value in config.items()}


START = [GOOD, _file("dev"), _file("single")]
# Every key there is: random ones would nearly all be refused by the same rule.
WORDS = {part for place, _ in FIELDS.values() for part in place if isinstance(part, str)}
KEYS = st.sampled_from(sorted(WORDS)) | st.text(max_size=5)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70000),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["none", "six", "nvidia.com/gpu", "10.0.0.21", "server", "file:///x", "a" * 99]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A valid file with some keys removed, renamed or given another value."""
    raw = copy.deepcopy(draw(st.sampled_from(START)))
    for _ in range(draw(st.integers(1, 4))):
        here: Any = raw
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], (dict, list)) and draw(st.integers(0, 3)):
                here = here[key]
                continue
            change = draw(st.sampled_from(["remove", "replace", "rename", "add"]))
            value = draw(VALUES) if change in ("replace", "add") else here[key]
            if change in ("remove", "rename"):
                del here[key]
            if isinstance(here, list):
                here.insert(min(int(key), len(here)), value) if change != "remove" else None
            elif change != "remove":
                here[key if change == "replace" else draw(KEYS)] = value
            break
    return raw


@STEADY
@given(spoilt(), st.sets(KEYS, max_size=2))
def test_any_value_gives_settings_or_settings_error(raw: dict[str, Any], secrets: set[str]) -> None:
    try:
        parsed = s.parse(raw, secrets)
    except s.SettingsError as refused:
        assert refused.problems and str(refused)
        assert all(one.where and one.found and one.expected and one.remedy for one in refused.problems)
        return
    fit = capacity.fit(parsed, capacity.offers(parsed))
    assert capacity.render_slice_map(fit) and s.render(fit.problems) is not None


@STEADY
@given(st.data())
def test_any_text_gives_settings_or_settings_error(tmp_path_factory: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["dev", "single"]))
    text = (ROOT / f"Pulumi.{name}.yaml").read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 9))
        put = data.draw(st.text("\n\t :-{}[]&*!?|>%@`'\"#,<~0\x00aé", max_size=6))
        text = text[:start] + put + text[end:]
    file = tmp_path_factory.getbasetemp() / "Pulumi.fuzz.yaml"
    file.write_text(text)
    try:
        s.read_stack_file(file)
    except s.SettingsError as refused:
        assert refused.problems
