"""Which chart values let pods with a slice, and no others, get at a card."""

from typing import Any

import pytest

from k3sgpu.card_access import CardAccess, closing_variables, operator_access

ENVVAR = "ACCEPT_NVIDIA_VISIBLE_DEVICES_ENVVAR_WHEN_UNPRIVILEGED"
MOUNTS = "ACCEPT_NVIDIA_VISIBLE_DEVICES_AS_VOLUME_MOUNTS"
NO_CDI = {"cdi": {"enabled": False}}


def toolkit(**variables: str) -> dict[str, Any]:
    return {"toolkit": {"env": [{"name": name, "value": value} for name, value in variables.items()]}}


def plugin(strategy: str) -> dict[str, Any]:
    return {"devicePlugin": {"env": [{"name": "DEVICE_LIST_STRATEGY", "value": strategy}]}}


BY_MOUNTS = {
    "toolkit": {ENVVAR: "false", MOUNTS: "true"},
    "devicePlugin": {"DEVICE_LIST_STRATEGY": "volume-mounts"},
}


@pytest.mark.parametrize(
    ("version", "values", "added", "without_slice"),
    [
        ("v26.7.0", {}, {"toolkit": {ENVVAR: "false"}, "devicePlugin": {}}, False),
        ("v26.7.0", NO_CDI, BY_MOUNTS, False),
        ("v26.7.0", {**NO_CDI, **plugin("volume-mounts")}, {**BY_MOUNTS, "devicePlugin": {}}, False),
        ("v26.7.0", {**NO_CDI, **toolkit(**{ENVVAR: "False"})},
         {**BY_MOUNTS, "toolkit": {MOUNTS: "true"}}, False),
        ("v26.7.0", toolkit(**{ENVVAR: "true"}), {}, True),
        ("v26.7.0", plugin("envvar"), {}, True),
        ("v26.7.0", {"devicePlugin": {"args": ["--device-list-strategy=envvar"]}}, {}, True),
        ("v26.7.0", plugin("envvar,cdi-cri"), {"toolkit": {ENVVAR: "false"}, "devicePlugin": {}}, False),
        ("v25.3.4", {}, {}, True),
        ("v25.3.4", {"cdi": {"enabled": True}}, {}, True),
    ],
)  # fmt: skip
def test_program_closes_the_toolkit_and_keeps_slices_working(version, values, added, without_slice):
    assert closing_variables(version, values) == added
    access = operator_access(version, values)
    assert access.without_slice == without_slice
    assert access.with_slice


@pytest.mark.parametrize(
    ("strategy", "envvar", "mounts", "with_slice"),
    [
        ("envvar", True, False, True),
        ("envvar", False, False, False),
        ("envvar", False, True, False),
        ("volume-mounts", True, False, False),
        ("volume-mounts", False, True, True),
        ("cdi-cri", False, False, True),
    ],
)
def test_a_pod_with_a_slice_needs_a_strategy_the_toolkit_obeys(strategy, envvar, mounts, with_slice):
    """As seen on an H200 with toolkit v1.19.0, but for volume mounts that are not accepted."""
    access = CardAccess(frozenset({strategy}), envvar, mounts)
    assert (access.with_slice, access.without_slice) == (with_slice, envvar)
