"""Faults of sharing: the device plugin, its configuration, nodes and their labels."""

import functools
import json
from collections.abc import Iterator

from rehearsal.faults.context import AGENT, FaultContext
from rehearsal.faults.fault import fault, host_problem
from rehearsal.lab.fixture import wait_until

AREA = "sharing"
PROFILE = "2080ti-12gb"
PLUGIN_PODS = ("--namespace", "gpu-operator", "--selector", "app=nvidia-device-plugin-daemonset")
NO_SLICES = host_problem("gpu-1", r"nvidia\.com/gpu", "")
AFTER_THE_WAIT = r"doctor cluster after 2\d s"
sharing_fault = functools.partial(fault, AREA, max_seconds=150, scope="full")


def set_slices(context: FaultContext, count: int) -> None:
    """Declares another number of slices: a change that touches every part of the cluster."""
    context.config["sharing"]["profiles"][PROFILE]["timeSlicing"]["resources"][0]["replicas"] = count


def break_config_map(context: FaultContext) -> None:
    """Writes a number of replicas into the ConfigMap with which the plugin does not start."""
    name = ("configmap", "time-slicing-config", "--namespace", "gpu-operator")
    data = context.cluster.get(*name)["data"]
    broken = {key: text.replace("replicas: 6", "replicas: 1") for key, text in data.items()}
    assert broken != data
    context.cluster.kubectl("patch", *name, "--type", "merge", "--patch", json.dumps({"data": broken}))
    # The plugin reads its file when it starts, and when another one is selected.
    context.cluster.kubectl("delete", "pods", *PLUGIN_PODS)
    wait_until("the node to lose its slices", lambda: context.allocatable_slices() != "6")


def switch_plugin(context: FaultContext, *, on: bool) -> None:
    """Switches the device plugin on or off in the ClusterPolicy, which the stack file refuses."""
    patch = json.dumps({"spec": {"devicePlugin": {"enabled": on}}})
    context.cluster.kubectl("patch", "clusterpolicy", "cluster-policy", "--type", "merge", "--patch", patch)


@sharing_fault(
    "change",
    NO_SLICES,
    AFTER_THE_WAIT,
    r"kubectl -n gpu-operator",
    remedy="the operator gets its device plugin back",
)
def plugin_missing(context: FaultContext) -> Iterator[None]:
    """somebody switches the device plugin off in the ClusterPolicy"""
    switch_plugin(context, on=False)
    wait_until("the node to lose its slices", lambda: context.allocatable_slices() != "6")
    with context.short_timeouts("gpuOperator"):
        yield
    switch_plugin(context, on=True)


@sharing_fault(
    "change",
    NO_SLICES,
    r"the device plugin does not start with its configuration",
    r"kubectl -n gpu-operator logs ds/nvidia-device-plugin-daemonset",
    remedy="`pulumi refresh`, and the next `up` writes the right configuration",
)
def plugin_crashing(context: FaultContext) -> Iterator[None]:
    """NVIDIA's plugin crashes at start because of its configuration"""
    break_config_map(context)
    with context.short_timeouts("gpuOperator"):
        yield
    context.cluster.refresh()


@sharing_fault(
    "change",
    NO_SLICES,
    r"invalid --device-id-strategy option",
    AFTER_THE_WAIT,
    remedy="the value is taken out of the stack file; until then every `up` fails",
)
def operator_value_breaks_plugin(context: FaultContext) -> Iterator[None]:
    """a value of the operator makes NVIDIA's plugin end at its start, in a cluster that was good"""
    env = [{"name": "DEVICE_ID_STRATEGY", "value": "bogus"}]
    context.config["gpuOperator"]["values"] = {"devicePlugin": {"env": env}}
    with context.short_timeouts("gpuOperator"):
        yield
        assert "invalid --device-id-strategy option" in context.cluster.expect_failure(context.cluster.up)
    del context.config["gpuOperator"]["values"]


@sharing_fault(
    "refresh",
    remedy="the refresh finds it, and the `up` after it writes the right configurations",
    fails=False,
)
def config_map_edited(context: FaultContext) -> Iterator[None]:
    """somebody edits the sharing configurations, and the plugin does not start with them"""
    break_config_map(context)
    yield


@sharing_fault(
    "refresh",
    remedy="the refresh finds it, and the `up` after it sets the label",
    fails=False,
)
def label_removed(context: FaultContext) -> Iterator[None]:
    """somebody removes the label that selects a node's sharing configuration"""
    context.cluster.kubectl("label", "node", AGENT, "nvidia.com/device-plugin.config-")
    yield


@sharing_fault(
    "refresh",
    remedy="`k3s.generation` is raised: k3s restarts and registers the node; the refresh restores its labels",
    fails=False,
)
def node_deleted(context: FaultContext) -> Iterator[None]:
    """somebody deletes the Node of a running agent"""
    context.cluster.kubectl("delete", "node", AGENT)
    context.raise_generation()
    yield


@sharing_fault(
    "change",
    NO_SLICES,
    AFTER_THE_WAIT,
    remedy="the label is removed",
)
def operands_switched_off(context: FaultContext) -> Iterator[None]:
    """somebody labels a node so that the operator leaves it out"""
    context.cluster.kubectl("label", "node", AGENT, "nvidia.com/gpu.deploy.operands=false", "--overwrite")
    with context.short_timeouts("gpuOperator"):
        yield
    context.cluster.kubectl("label", "node", AGENT, "nvidia.com/gpu.deploy.operands-")


@sharing_fault(
    "change",
    remedy="the change takes the field back",
    fails=False,
)
def field_taken_over(context: FaultContext) -> Iterator[None]:
    """another field manager owns the field that names the sharing configurations"""
    theirs = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {"devicePlugin": {"config": {"name": "theirs", "default": "any"}}},
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager", "somebody", "--filename", "-")
    context.cluster.kubectl(*apply, stdin=json.dumps(theirs))
    context.cluster.refresh()
    yield
