"""Values of the GPU Operator's chart that are refused."""

from tests.data.stack_files import Refusal


def _value(section: str, key: str, value: object) -> dict[str, object]:
    return {"gpuOperator/values": {section: {key: value}}}


def _off(section: str, key: str, value: object, why: str) -> Refusal:
    """The value of a part that the sharing needs."""
    path = f"gpuOperator.values.{section}.{key}"
    return _value(section, key, value), path, "", why, f"remove {key}"


def _variable(value: object) -> dict[str, object]:
    return _value("devicePlugin", "env", [{"name": "A", "value": value}])


CLOSED = "ACCEPT_NVIDIA_VISIBLE_DEVICES_ENVVAR_WHEN_UNPRIVILEGED"
A_VARIABLE = "gpuOperator.values.devicePlugin.env[0]"

REFUSALS: dict[str, Refusal] = {
    "no device plugin": _off("devicePlugin", "enabled", False, "offers the slices"),
    "no feature discovery": _off("gfd", "enabled", False, "readiness gate"),
    "no node feature discovery": _off("nfd", "enabled", False, "node feature discovery"),
    "virtual machines on the GPU nodes": _off("sandboxWorkloads", "enabled", True, "offer no slices"),
    "no ClusterPolicy": _off("clusterPolicy", "deployCR", False, "into the ClusterPolicy"),
    "devices by DRA": _off("gpuCluster", "deployCR", True, "by DRA"),
    "no RuntimeClass": _off("cdi", "nriPluginEnabled", True, "RuntimeClass nvidia"),
    "another RuntimeClass": _off("operator", "runtimeClass", "nvidia-cdi", "no other runtime"),
    "another runtime": _off("operator", "defaultRuntime", "docker", "its own containerd"),
    "OpenShift": _off("platform", "openshift", True, "no OpenShift"),
    "a toolkit that k3s does not find": _off(
        "toolkit", "installDir", "/opt/nvidia", "there and nowhere else"
    ),
    "a NUL character": (
        _value("toolkit", "env", [{"name": "A", "value": "a\x00"}]),
        "gpuOperator.values.toolkit.env[0].value",
        "U+0000",
        "can be printed",
        "remove the character",
    ),
    "half of a surrogate pair": (
        _value("operator", "repository", "\ud800"),
        "gpuOperator.values.operator.repository",
        "U+D800",
        "can be printed",
        "remove the character",
    ),
    "a value of an older chart": (
        _value("cdi", "default", True),
        "gpuOperator.values.cdi.default",
        "which the chart does not know in v26.7.0",
        "enabled, nriPluginEnabled",
        "since v26.7 CDI needs no default",
    ),
    "a value of a newer chart": (
        {"gpuOperator/version": "v26.3.3", **_value("clusterPolicy", "deployCR", True)},
        "gpuOperator.values.clusterPolicy",
        "which the chart does not know",
        "devicePlugin",
        "remove clusterPolicy",
    ),
    "a variable that is true": (_variable(True), f"{A_VARIABLE}.value", "true", "a text", 'value: "true"'),
    "a variable that is a number": (_variable(5), f"{A_VARIABLE}.value", "5", "a text", 'value: "5"'),
    "a variable of another kind": (
        _value("gfd", "env", [{"name": "A", "valueFrom": {}}]),
        "gpuOperator.values.gfd.env[0].valueFrom",
        "mapping",
        "only name, value",
        "remove valueFrom",
    ),
    "a variable without a name": (
        _value("dcgm", "env", [{"value": "1"}]),
        "gpuOperator.values.dcgm.env[0]",
        "mapping",
        "a name",
        "write {name: …, value: …}",
    ),
    "a variable that is a text": (
        _value("dcgm", "env", ["A=1"]),
        "gpuOperator.values.dcgm.env[0]",
        "A=1",
        "a mapping",
        "write {name: …, value: …}",
    ),
    "a switch that is a text": (
        _value("dcgmExporter", "enabled", "false"),
        "gpuOperator.values.dcgmExporter.enabled",
        '"false"',
        "true or false, without quotes",
        "write enabled: true or false",
    ),
    "arguments that are a text": (
        _value("dcgm", "args", "-v"),
        "gpuOperator.values.dcgm.args",
        "-v",
        "a list of texts",
        'write args: ["…"]',
    ),
    "an argument that is a number": (
        _value("dcgm", "args", [1]),
        "gpuOperator.values.dcgm.args[0]",
        "1",
        "a text",
        "in quotes",
    ),
    "annotations that are a list": (
        _value("daemonsets", "annotations", ["a"]),
        "gpuOperator.values.daemonsets.annotations",
        "a list",
        "a mapping of texts",
        "write annotations: {",
    ),
    "a label that is true": (
        _value("daemonsets", "labels", {"a": True}),
        "gpuOperator.values.daemonsets.labels.a",
        "true",
        "a text",
        'a: "true"',
    ),
    "a toleration that is a taint": (
        _value("daemonsets", "tolerations", ["a=b:NoSchedule"]),
        "gpuOperator.values.daemonsets.tolerations[0]",
        "a=b:NoSchedule",
        "a mapping with a key",
        "write {key: …",
    ),
    "a toleration of no effect": (
        _value("daemonsets", "tolerations", [{"key": "a", "operator": "Exists", "effect": "noschedule"}]),
        "gpuOperator.values.daemonsets.tolerations[0].effect",
        "noschedule",
        "NoSchedule",
        "write one of these",
    ),
    "a pull policy of no image": (
        _value("driver", "imagePullPolicy", "always"),
        "gpuOperator.values.driver.imagePullPolicy",
        "always",
        "Always, IfNotPresent, Never",
        "write one of these",
    ),
    "another socket of containerd": (
        _value("toolkit", "env", [{"name": "RUNTIME_SOCKET", "value": "/run/containerd/containerd.sock"}]),
        "gpuOperator.values.toolkit.env[0]",
        "RUNTIME_SOCKET",
        "does not set",
        "k3s's socket",
    ),
    "a strategy that overrides the profiles": (
        _value("devicePlugin", "env", [{"name": "MIG_STRATEGY", "value": "single"}]),
        "gpuOperator.values.devicePlugin.env[0]",
        "MIG_STRATEGY",
        "does not set",
        "write migStrategy in the profiles",
    ),
    "k3s's template by another name": (
        _value("toolkit", "env", [{"name": "RUNTIME_CONFIG", "value": "/k3s/config.toml.tmpl"}]),
        "gpuOperator.values.toolkit.env[0]",
        "RUNTIME_CONFIG=/k3s/config.toml.tmpl",
        "no template of k3s",
        "remove this variable",
    ),
    "no card for pods with a slice": (
        {
            "gpuOperator/toolkit": "operator",
            "gpuOperator/values": {
                "toolkit": {"env": [{"name": CLOSED, "value": "false"}]},
                "devicePlugin": {"env": [{"name": "DEVICE_LIST_STRATEGY", "value": "envvar"}]},
            },
        },
        "gpuOperator.values.devicePlugin",
        "the strategy envvar, which the toolkit's variables refuse",
        "get their card",
        "remove DEVICE_LIST_STRATEGY",
    ),
    "no node for the operator": (
        {
            "pools/control/taints": ["CriticalAddonsOnly=true:NoExecute"],
            "pools/rtx/taints": ["dedicated=gpu:NoSchedule"],
            "workloads": {},
        },
        "pools.control.taints",
        "gpu-1 dedicated=gpu:NoSchedule; server-1 CriticalAddonsOnly=true:NoExecute",
        "a node that admits the operator, node feature discovery's master",
        'CriticalAddonsOnly", "operator": "Equal", "value": "true", "effect": "NoExecute"}',
    ),
}

WARNINGS: dict[str, Refusal] = {
    "cards for every pod by a variable": (
        {
            "gpuOperator/toolkit": "operator",
            "gpuOperator/values": {"toolkit": {"env": [{"name": CLOSED, "value": "true"}]}},
        },
        "gpuOperator.values.toolkit.env",
        f"{CLOSED}=true",
        "NVIDIA_VISIBLE_DEVICES=all",
        "the program sets it to false",
    ),
    "a strategy that needs an open toolkit": (
        {
            "gpuOperator/toolkit": "operator",
            "gpuOperator/values": {
                "devicePlugin": {"env": [{"name": "DEVICE_LIST_STRATEGY", "value": "envvar"}]}
            },
        },
        "gpuOperator.values.devicePlugin",
        "the strategy envvar",
        "cards for pods with a slice only",
        "remove DEVICE_LIST_STRATEGY",
    ),
    "an operator that needs an open toolkit": (
        {"gpuOperator/toolkit": "operator", "gpuOperator/version": "v25.3.4"},
        "gpuOperator.version",
        "v25.3.4, whose own pods need",
        "cards for pods with a slice only",
        "a version from v25.10 on",
    ),
}
