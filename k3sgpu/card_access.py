"""How a container gets at a card: by a slice, or without one by a variable that anybody can set.

NVIDIA's runtime gives every container of the RuntimeClass `nvidia` the cards that its variable
NVIDIA_VISIBLE_DEVICES names, and the images of nvidia/cuda set it to `all`. Its option ENVVAR_OPTION limits
that to privileged containers. Pods with slices then need another way: the device plugin's strategy.

Sources: VisibleDevices (internal/config/image/cuda_image.go) in github.com/NVIDIA/nvidia-container-toolkit
v1.19.0, getAllocateResponse (internal/plugin/server.go) in github.com/NVIDIA/k8s-device-plugin v0.19.0, and
TransformToolkit and TransformDevicePlugin (controllers/object_controls.go) in github.com/NVIDIA/gpu-operator
v26.7.0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k3sgpu.operator_releases import major_release

ENVVAR_OPTION = "accept-nvidia-visible-devices-envvar-when-unprivileged"
MOUNTS_OPTION = "accept-nvidia-visible-devices-as-volume-mounts"
"""Options at the top of the toolkit's config.toml."""
ENVVAR_VARIABLE = "ACCEPT_NVIDIA_VISIBLE_DEVICES_ENVVAR_WHEN_UNPRIVILEGED"
MOUNTS_VARIABLE = "ACCEPT_NVIDIA_VISIBLE_DEVICES_AS_VOLUME_MOUNTS"
"""Variables of the operator's toolkit container that set these options."""
STRATEGY_VARIABLE = "DEVICE_LIST_STRATEGY"
"""The device plugin's variable that says how a container is told of its devices."""
ENVVAR, MOUNTS = "envvar", "volume-mounts"
CDI = "cdi-annotations,cdi-cri"
"""What the operator sets where CDI is enabled."""
FIRST_WITH_CDI = (25, 10)
"""The first release that enables CDI by default, and whose own pods with cards are all privileged."""

_TRUE = ("1", "t", "true")  # strconv.ParseBool, in any case


@dataclass(frozen=True)
class CardAccess:
    """The ways in which a container that is not privileged gets at a card."""

    strategies: frozenset[str]
    """The device plugin's strategies."""
    envvar: bool = True
    """Whether the toolkit obeys NVIDIA_VISIBLE_DEVICES; its default."""
    mounts: bool = False
    """Whether the toolkit obeys mounts that name devices; its default."""

    @property
    def without_slice(self) -> bool:
        """Whether a pod that asks for no slice can take cards."""
        return self.envvar

    @property
    def with_slice(self) -> bool:
        """Whether a pod that has a slice can compute; else its container lacks the driver's libraries."""
        return (
            any(one.startswith("cdi-") for one in self.strategies)
            or (ENVVAR in self.strategies and self.envvar)
            or (MOUNTS in self.strategies and self.mounts)
        )


def is_true(text: object) -> bool:
    """Whether NVIDIA's programs read the value of a variable as true."""
    return str(text).lower() in _TRUE


def needs_open_toolkit(version: str | None) -> bool:
    """Whether pods of that release of the operator need a toolkit that is open: before FIRST_WITH_CDI."""
    release = major_release(version)
    return release is not None and release < FIRST_WITH_CDI


def strategies(version: str | None, values: Mapping[str, Any]) -> frozenset[str]:
    """Returns the device plugin's strategies under these chart values of the operator."""
    chosen = _chosen_strategies(values)
    text = chosen or (CDI if uses_cdi(version, values) else ENVVAR)
    return frozenset(one.strip() for one in text.split(","))


def uses_cdi(version: str | None, values: Mapping[str, Any]) -> bool:
    """Returns whether the operator of that version has CDI enabled under these chart values."""
    section = values.get("cdi")
    enabled = section.get("enabled") if isinstance(section, Mapping) else None
    return enabled if isinstance(enabled, bool) else not needs_open_toolkit(version)


def closing_variables(version: str | None, values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Returns, by section of the chart, the variables with which only pods with a slice get at a card.

    For an operator that installs the toolkit. Variables that `values` have are left out. There are none where
    `values` open the toolkit or choose a strategy that needs it open, nor for releases before FIRST_WITH_CDI:
    some of their own pods need it open.
    """
    given = {section: variables(values, section) for section in ("toolkit", "devicePlugin")}
    if needs_open_toolkit(version) or is_true(given["toolkit"].get(ENVVAR_VARIABLE, "false")):
        return {}
    wanted: dict[str, dict[str, str]] = {"toolkit": {ENVVAR_VARIABLE: "false"}, "devicePlugin": {}}
    here = strategies(version, values)
    if here == {ENVVAR}:
        if _chosen_strategies(values):
            return {}
        here = {MOUNTS}
        wanted["devicePlugin"][STRATEGY_VARIABLE] = MOUNTS
    if MOUNTS in here:
        wanted["toolkit"][MOUNTS_VARIABLE] = "true"
    return {
        section: {name: value for name, value in wanted[section].items() if name not in given[section]}
        for section in wanted
    }


def operator_access(version: str | None, values: Mapping[str, Any], *, adopted: bool = False) -> CardAccess:
    """Returns how containers get at cards under an operator that installs the toolkit, by this program.

    The program adds nothing to the values of an operator that is `adopted`.
    """
    added = {} if adopted else closing_variables(version, values)
    toolkit = {**variables(values, "toolkit"), **added.get("toolkit", {})}
    strategy = added.get("devicePlugin", {}).get(STRATEGY_VARIABLE)
    return CardAccess(
        frozenset({strategy}) if strategy else strategies(version, values),
        is_true(toolkit.get(ENVVAR_VARIABLE, "true")),
        is_true(toolkit.get(MOUNTS_VARIABLE, "false")),
    )


def variables(values: Mapping[str, Any], section: str) -> dict[str, str]:
    """Returns the variables of a section of the chart's values. Of two of one name the last wins."""
    return {
        str(one["name"]): str(one.get("value", ""))
        for one in _entries(values, section, "env")
        if "name" in one
    }


def _chosen_strategies(values: Mapping[str, Any]) -> str:
    """The strategies that the values name themselves; "" when they leave them to the operator."""
    flag = "--device-list-strategy"
    section = values.get("devicePlugin")
    arguments = section.get("args") if isinstance(section, Mapping) else None
    for argument in reversed(arguments if isinstance(arguments, list) else []):
        name, _, value = str(argument).partition("=")
        if name == flag and value:
            return value
    return variables(values, "devicePlugin").get(STRATEGY_VARIABLE, "")


def _entries(values: Mapping[str, Any], section: str, key: str) -> Iterator[Mapping[str, Any]]:
    found = values.get(section)
    entries: object = found.get(key) if isinstance(found, Mapping) else None
    yield from (one for one in (entries if isinstance(entries, Sequence) else ()) if isinstance(one, Mapping))
