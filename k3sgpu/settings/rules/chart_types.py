"""The types of the GPU Operator chart's values, by the name of a key.

The chart copies most values into the ClusterPolicy, whose CRD refuses other types when Helm installs it. A
text in place of true or false is true for the chart's conditions, whatever it says. Sources: values.yaml and
crds/nvidia.com_clusterpolicies.yaml of deployments/gpu-operator in github.com/NVIDIA/gpu-operator, v26.7.0.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k3sgpu.settings.model_paths import Loc


@dataclass(frozen=True)
class ValueType:
    """A type of values."""

    expected: str
    fits: Callable[[Any], bool]
    remedy: str
    """May hold {key} and {value}."""


@dataclass(frozen=True)
class WrongType:
    """A value of the wrong type: its path below the section's, and what it should be."""

    path: Loc
    value: Any
    expected: str
    remedy: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def one_of(*words: str) -> ValueType:
    """Texts of which only some are known."""
    return ValueType(f"one of {', '.join(words)}", lambda value: value in words, "write one of these")


TEXT = ValueType("a text", _is_text, 'put it in quotes: {key}: "{value}"')
TEXT_OR_NUMBER = ValueType(
    "a text or a whole number",
    lambda value: _is_text(value) or _is_number(value),
    'put it in quotes: {key}: "{value}"',
)
BOOLEAN = ValueType(
    "true or false, without quotes", lambda value: isinstance(value, bool), "write {key}: true or false"
)
NUMBER = ValueType("a whole number, without quotes", _is_number, "write {key}: 30")
MAPPING = ValueType("a mapping, as in the chart's values.yaml", _is_mapping, "write {key}: {{…}}")

TYPES: dict[str, ValueType] = {
    **dict.fromkeys(
        """
        autoUpgrade cleanupCRD create deleteEmptyDir deployCR deployDefaultCR develMode enable enablePodLabels
        enablePodUID enabled force honorLabels hostNetwork hostPID nlsEnabled nodefeaturerules
        nriPluginEnabled openshift upgradeCRD useHostMofed useNvidiaDriverCRD useOpenKernelModules
        usePrecompiled use_ocp_driver_toolkit
        """.split(),
        BOOLEAN,
    ),
    **dict.fromkeys(
        """
        configMapName driverInstallDir driverType image installDir interval kubeletRootDir name
        podSelector priorityClassName repository rootFS runtimeClass scrapeTimeout secretEnv secretName
        timeEncoding
        """.split(),
        TEXT,
    ),
    **dict.fromkeys(["level", "maxUnavailable", "version"], TEXT_OR_NUMBER),
    **dict.fromkeys(
        """
        failureThreshold hostPort initialDelaySeconds maxParallelUpgrades periodSeconds successThreshold
        timeoutSeconds
        """.split(),
        NUMBER,
    ),
    **dict.fromkeys(
        """
        affinity certConfig drain gpuClientsConfig gpuPodDeletion hpcJobMapping kernelModuleConfig
        licensingConfig livenessProbe logging manager metrics mps nvidiaDriverCRD podSecurityContext rdma
        readinessProbe repoConfig resources rollingUpdate service serviceMonitor startupProbe upgradePolicy
        virtualTopology waitForCompletion
        """.split(),
        MAPPING,
    ),
    "defaultMode": one_of("on", "off", "devtools"),
    "defaultRuntime": one_of("containerd", "docker", "crio"),
    "defaultWorkload": one_of("container", "vm-passthrough", "vm-vgpu"),
    "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "kernelModuleType": one_of("auto", "open", "proprietary"),
    "mode": one_of("kubevirt", "kata"),
    "updateStrategy": one_of("RollingUpdate", "OnDelete"),
}
"""By key: what is a single value, or a mapping whose keys are looked up here in turn."""

TEXTS = frozenset("args imagePullSecrets podLabelAllowlistRegex".split())
"""Keys of lists of texts."""
TEXTS_BY_KEY = frozenset("additionalLabels annotations labels nodeSelector".split())
"""Keys of mappings of texts."""
TOLERATION: dict[str, ValueType] = {
    "key": TEXT,
    "operator": one_of("Exists", "Equal"),
    "value": TEXT,
    "effect": one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "tolerationSeconds": NUMBER,
}
VARIABLE = {"name": TEXT, "value": TEXT}
"""The keys of an entry of `env`: the CRD drops any other key."""


def wrong_types(values: Mapping[str, Any], path: Loc = ()) -> Iterator[WrongType]:
    """The values of a section that have the wrong type. A null stays out: it is the chart's default."""
    for key, value in values.items():
        place = (*path, key)
        if value is None:
            continue
        if key == "env":
            yield from _wrong_entries(
                place, value, {} if path == ("operator",) else VARIABLE, "a name and a value"
            )
        elif key == "tolerations":
            yield from _wrong_entries(place, value, TOLERATION, "a key, an operator, a value and an effect")
        elif key in TEXTS:
            yield from _wrong_texts(place, value)
        elif key in TEXTS_BY_KEY:
            yield from _wrong_texts_by_key(place, value)
        elif key in TYPES and not TYPES[key].fits(value):
            yield _wrong(place, value, TYPES[key])
        elif isinstance(value, Mapping):
            yield from wrong_types(value, place)


def _wrong(path: Loc, value: Any, wanted: ValueType) -> WrongType:
    word = str(value).lower() if isinstance(value, bool) else value
    single = isinstance(value, (str, bool, int, float))
    remedy = wanted.remedy if single or wanted is not TEXT else "write {key}: TEXT"
    return WrongType(path, value, wanted.expected, remedy.format(key=path[-1], value=word))


def _wrong_entries(path: Loc, value: Any, keys: Mapping[str, ValueType], what: str) -> Iterator[WrongType]:
    """A list of mappings with these keys; without `keys`, any."""
    example = "{" + ", ".join(f"{key}: …" for key in [*keys][:4] or ("name", "value")) + "}"
    if not isinstance(value, list):
        yield WrongType(path, value, f"a list, each entry with {what}", f"write {path[-1]}: [{example}]")
        return
    for index, entry in enumerate(value):
        place = (*path, index)
        if not isinstance(entry, Mapping):
            yield WrongType(place, entry, f"a mapping with {what}", f"write {example}")
            continue
        for key, one in entry.items():
            wanted = keys.get(key)
            if keys and wanted is None:
                expected = f"only {', '.join(keys)}: the cluster drops other keys"
                yield WrongType((*place, key), one, expected, f"remove {key}")
            elif wanted and one is not None and not wanted.fits(one):
                yield _wrong((*place, key), one, wanted)
        if keys is VARIABLE and not entry.get("name"):
            yield WrongType(place, entry, "a mapping with a name", f"write {example}")


def _wrong_texts(path: Loc, value: Any) -> Iterator[WrongType]:
    if not isinstance(value, list):
        yield WrongType(path, value, "a list of texts", f'write {path[-1]}: ["…"]')
        return
    yield from (_wrong((*path, index), one, TEXT) for index, one in enumerate(value) if not _is_text(one))


def _wrong_texts_by_key(path: Loc, value: Any) -> Iterator[WrongType]:
    if not isinstance(value, Mapping):
        yield WrongType(path, value, "a mapping of texts", f'write {path[-1]}: {{KEY: "…"}}')
        return
    yield from (_wrong((*path, key), one, TEXT) for key, one in value.items() if not _is_text(one))
