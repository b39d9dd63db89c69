"""In the cluster: its API, the operator, sharing configurations, nodes, cards."""

import contextlib
import json
from collections.abc import Callable, Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import AGENT, SERVER, FaultContext
from rehearsal.faults.fault import fault
from rehearsal.lab import gpus
from rehearsal.lab.fixture import wait_until
from rehearsal.process import run

AREA = "inside the cluster"
CHART = "rehearsal/simulators/chart"
PROFILE = "2080ti-12gb"
# Without these no ClusterPolicy is accepted.
REQUIRED = (
    *("operator", "driver", "toolkit", "devicePlugin", "dcgm", "dcgmExporter", "gfd"),
    *("nodeStatusExporter", "daemonsets"),
)


def the_crd(context: FaultContext) -> None:
    """The kind of a ClusterPolicy is there."""
    crd = f"{CHART}/crds/clusterpolicies.nvidia.com.yaml"
    context.cluster.kubectl("apply", "--server-side", "--filename", crd)
    context.cluster.kubectl("wait", "--for", "condition=Established", "--timeout", "30s", "--filename", crd)


def bare_cluster(context: FaultContext) -> None:
    """Makes the cluster without anything in it; what the stack file has for it comes with the next `up`."""
    kept = {key: context.config[key] for key in ("gpuOperator", "workloads")}
    context.config.update(gpuOperator={"enabled": False}, workloads={})
    context.cluster.up()
    context.config.update(kept)


def helm(context: FaultContext, *arguments: str) -> None:
    """Helm, as somebody beside the program would use it."""
    made = context.cluster
    run([made.tools.helm, *arguments, "--kubeconfig", made.stack.kubeconfig], timeout=120)


@contextlib.contextmanager
def release_of_others(context: FaultContext, namespace: str) -> Iterator[None]:
    """Meanwhile somebody's own release of the operator is there, in a namespace of its own."""
    own = ("--namespace", namespace)
    off = ("--set", "driver.enabled=false,toolkit.enabled=false")
    helm(context, "install", "theirs", CHART, *own, "--create-namespace", *off, "--wait")
    yield
    helm(context, "uninstall", "theirs", *own, "--wait")
    context.cluster.kubectl("delete", "namespace", namespace)


def other_slices(context: FaultContext, count: int) -> None:
    """A change that every part in the cluster takes part in."""
    context.config["sharing"]["profiles"][PROFILE]["timeSlicing"]["resources"][0]["replicas"] = count


def cards(context: FaultContext, count: int) -> None:
    """The machine has so many cards from now on."""
    machine = context[AGENT]
    made = gpus.Gpus("NVIDIA-GeForce-RTX-2080-Ti", count, 11264)
    gpus.install(made, machine.name, machine.root, machine.folder / "sysfs")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: nvidia\.com/gpu\n\s*found: +",
    r"doctor cluster after 2\d s",
    r"kubectl -n gpu-operator",
    max_seconds=150,
    remedy="the operator gets its device plugin back",
    scope="full",
)
def plugin_missing(context: FaultContext) -> Iterator[None]:
    """the operator is told to leave its device plugin out, and slices never come"""
    context.config["gpuOperator"]["values"] = {"devicePlugin": {"enabled": False}}
    with context.short_timeouts("gpuOperator"):
        yield
    del context.config["gpuOperator"]["values"]


@fault(
    AREA,
    "change",
    r"drain: the API server https://10\.77\.0\.213:6443: .*; asked for \d+ s",
    r"remedy: on the server: sudo systemctl status k3s",
    max_seconds=120,
    remedy="`systemctl start k3s` on the server",
    scope="full",
)
def api_down_at_up(context: FaultContext) -> Iterator[None]:
    """the API server is down when a profile changes"""
    context.config["k3s"]["generation"] -= 1  # or the server would be looked after first
    other_slices(context, 5)
    with context.api_server_stopped():
        yield
    other_slices(context, 6)


@fault(
    AREA,
    "change",
    r"nvidia-plugin-test-2\n\s*found: +the cluster's API server does not answer",
    r"https://10\.77\.0\.213:6443",
    r"systemctl status k3s; journalctl -u k3s",
    max_seconds=60,
    remedy="`systemctl start k3s` on the server",
    scope="full",
)
def api_down_at_a_workload(context: FaultContext) -> Iterator[None]:
    """the API server is down when a workload changes"""
    context.config["k3s"]["generation"] -= 1
    context.config["workloads"]["nvidia-plugin-test-2"]["replicas"] = 1
    with context.api_server_stopped():
        yield
    context.config["workloads"]["nvidia-plugin-test-2"]["replicas"] = 2


@fault(
    AREA,
    "change",
    max_seconds=120,
    remedy="the server's script starts k3s, and the change goes through",
    fails=False,
    scope="full",
)
def server_stopped(context: FaultContext) -> Iterator[None]:
    """k3s is stopped on the server when an `up` comes that goes to every machine"""
    context.run_on(SERVER, "systemctl stop k3s")
    yield


@fault(
    AREA,
    "refresh",
    r"unreachable|connection refused",
    max_seconds=120,
    remedy="`systemctl start k3s` on the server; the state has lost nothing",
    scope="full",
)
def api_down_at_refresh(context: FaultContext) -> Iterator[None]:
    """the API server is down when the state is compared with the cluster"""
    with context.api_server_stopped():
        yield


@fault(
    AREA,
    "destroy",
    max_seconds=120,
    remedy="it is not asked: the cluster goes with its machines",
    fails=False,
    scope="full",
)
def api_down_at_destroy(context: FaultContext) -> Iterator[None]:
    """the API server is down when everything is to go"""
    context.run_on(SERVER, "systemctl stop k3s")
    yield


def broken_by_hand(context: FaultContext) -> None:
    name = ("configmap", "time-slicing-config", "--namespace", "gpu-operator")
    data = context.cluster.get(*name)["data"]
    broken = {key: text.replace("replicas: 6", "replicas: 1") for key, text in data.items()}
    assert broken != data
    context.cluster.kubectl("patch", *name, "--type", "merge", "--patch", json.dumps({"data": broken}))
    # It reads its file when it starts, and when another is chosen.
    plugin = ("--namespace", "gpu-operator", "--selector", "app=nvidia-device-plugin-daemonset")
    context.cluster.kubectl("delete", "pods", *plugin)
    wait_until("no slices", lambda: context.allocatable_slices() != "6")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: nvidia\.com/gpu\n\s*found: +",
    r"the device plugin does not start with its configuration",
    r"kubectl -n gpu-operator logs ds/nvidia-device-plugin-daemonset",
    max_seconds=150,
    remedy="`pulumi refresh`, and the next `up` writes the right one",
    scope="full",
)
def plugin_crashing(context: FaultContext) -> Iterator[None]:
    """NVIDIA's plugin does not start with a configuration, again and again"""
    broken_by_hand(context)
    with context.short_timeouts("gpuOperator"):
        yield
    context.cluster.refresh()


@fault(
    AREA,
    "refresh",
    max_seconds=150,
    remedy="a refresh sees it, and the `up` after it writes the right ones",
    fails=False,
    scope="full",
)
def config_map_by_hand(context: FaultContext) -> Iterator[None]:
    """somebody edits the sharing configurations, and the plugin does not start with them"""
    broken_by_hand(context)
    yield


@fault(
    AREA,
    "refresh",
    max_seconds=150,
    remedy="a refresh sees it, and the `up` after it puts it right",
    fails=False,
    scope="full",
)
def label_by_hand(context: FaultContext) -> Iterator[None]:
    """somebody takes the label away that chooses a node's slices"""
    context.cluster.kubectl("label", "node", AGENT, "nvidia.com/device-plugin.config-")
    yield


@fault(
    AREA,
    "refresh",
    max_seconds=150,
    remedy="`k3s.generation` is raised: k3s starts and registers it; its labels come with the refresh",
    fails=False,
    scope="full",
)
def node_by_hand(context: FaultContext) -> Iterator[None]:
    """somebody deletes a node that is at work"""
    context.cluster.kubectl("delete", "node", AGENT)
    context.raise_generation()
    yield


@fault(
    AREA,
    "refresh",
    max_seconds=150,
    remedy="a refresh sees it, and the `up` after it installs it again",
    fails=False,
    scope="full",
)
def operator_uninstalled(context: FaultContext) -> Iterator[None]:
    """somebody uninstalls the operator with Helm"""
    helm(context, "uninstall", "gpu-operator", "--namespace", "gpu-operator", "--wait")
    yield


def helm_is_at(context: FaultContext, status: str) -> Callable[[], str]:
    """A look at whether Helm is in the middle of an operation on the operator."""
    about = f"--namespace gpu-operator --selector owner=helm,status={status} --output name"
    return lambda: context.run_on(SERVER, f"k3s kubectl get secrets {about}")


def forget_release(context: FaultContext, those: str = "") -> None:
    """Deletes what Helm keeps of the operator's release, or `those` of its revisions."""
    secrets = f"delete secret --selector owner=helm,name=gpu-operator{those}"
    context.run_on(SERVER, f"k3s kubectl --namespace gpu-operator {secrets}")


@fault(
    AREA,
    "first up",
    r"there is a release gpu-operator/gpu-operator that this stack does not know",
    r"kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator",
    max_seconds=150,
    remedy="the secret that Helm keeps of the operation is deleted",
    scope="full",
)
def install_in_progress(context: FaultContext) -> Iterator[None]:
    """the engine is killed while Helm installs the operator"""
    context.kill_run_when("the operator's install", helm_is_at(context, "pending-install"))
    yield
    forget_release(context)


@fault(
    AREA,
    "change",
    r"an operation on the release gpu-operator/gpu-operator was cut off, and Helm waits for its end",
    r"kubectl --namespace gpu-operator delete secret -l 'owner=helm,name=gpu-operator,status in",
    max_seconds=150,
    remedy="the secret that Helm keeps of the operation is deleted",
    scope="full",
)
def upgrade_in_progress(context: FaultContext) -> Iterator[None]:
    """the engine is killed while Helm changes the operator"""
    nowhere = {"cpu": "1000"}  # so that Helm waits for its pod
    asked = {"resources": {"limits": nowhere, "requests": nowhere}}
    context.config["gpuOperator"]["values"] = {"operator": asked}
    context.kill_run_when("the operator's change", helm_is_at(context, "pending-upgrade"))
    yield
    forget_release(context, ",status=pending-upgrade")
    del context.config["gpuOperator"]["values"]


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: gpu\n\s*found: +2 NVIDIA cards in nvidia-smi",
    r"count: 2 in the pool, if that is right",
    max_seconds=60,
    remedy="the machine is as declared",
    scope="full",
)
def more_cards(context: FaultContext) -> Iterator[None]:
    """a machine has two cards, and one is declared"""
    cards(context, 2)
    yield
    cards(context, 1)


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: gpu\n\s*found: +0 NVIDIA cards in nvidia-smi",
    r"look at dmesg for the missing card",
    max_seconds=60,
    remedy="the card is back",
    scope="full",
)
def card_gone(context: FaultContext) -> Iterator[None]:
    """a card has fallen off the bus"""
    cards(context, 0)
    yield
    cards(context, 1)


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: nvidia\.com/gpu\n\s*found: +",
    r"doctor cluster after 2\d s",
    max_seconds=150,
    remedy="the label is let go",
    scope="full",
)
def operands_switched_off(context: FaultContext) -> Iterator[None]:
    """somebody tells the operator to leave a node alone"""
    context.cluster.kubectl("label", "node", AGENT, "nvidia.com/gpu.deploy.operands=false", "--overwrite")
    with context.short_timeouts("gpuOperator"):
        yield
    context.cluster.kubectl("label", "node", AGENT, "nvidia.com/gpu.deploy.operands-")


@fault(
    AREA,
    "refresh",
    r'no matches for kind "ClusterPolicy"',
    r"gpu-sharing\n\s*found: +somebody has deleted NVIDIA's CRDs",
    r"kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator\n\s*then refresh",
    max_seconds=150,
    remedy="the secret that Helm keeps of the release is deleted, and the operator installed anew",
    scope="full",
)
def crd_missing(context: FaultContext) -> Iterator[None]:
    """somebody deletes the kind of NVIDIA's ClusterPolicy, and with it the one there is"""
    context.cluster.kubectl("delete", "crd", "clusterpolicies.nvidia.com")
    yield
    forget_release(context)


@fault(
    AREA,
    "change",
    max_seconds=150,
    remedy="the program takes its field back with the change",
    fails=False,
    scope="full",
)
def field_of_another(context: FaultContext) -> Iterator[None]:
    """another manager has taken the field that chooses the configurations"""
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


@fault(
    AREA,
    "first up",
    r'ClusterPolicy "cluster-policy"',
    r"the cluster has an operator, or a part of one, that is not this stack's",
    r"kubectl delete clusterpolicy cluster-policy",
    max_seconds=180,
    remedy="theirs is taken away",
    scope="full",
)
def another_policy(context: FaultContext) -> Iterator[None]:
    """the cluster has somebody else's ClusterPolicy"""
    bare_cluster(context)
    the_crd(context)
    theirs = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {part: {} for part in REQUIRED},
    }
    context.cluster.kubectl("create", "--filename", "-", stdin=json.dumps(theirs))
    yield
    context.cluster.kubectl("delete", "clusterpolicy", "cluster-policy")
    assert inject.exists(context[SERVER], "/usr/local/bin/k3s")


@fault(
    AREA,
    "first up",
    r'namespaces "gpu-operator" already exists',
    r"gpu-profiles\n\s*found: +the cluster has a namespace gpu-operator that is not this stack's",
    r"helm --namespace gpu-operator uninstall NAME --wait; kubectl delete namespace gpu-operator; up",
    max_seconds=180,
    remedy="theirs is uninstalled, and its namespace deleted",
    scope="full",
)
def another_operator(context: FaultContext) -> Iterator[None]:
    """the cluster has somebody's own release of the operator, where ours is to be"""
    bare_cluster(context)
    with release_of_others(context, "gpu-operator"):
        yield


@fault(
    AREA,
    "first up",
    r"cannot be imported into the current release",
    r"the cluster has an operator, or a part of one, that is not this stack's",
    r"helm list --all-namespaces names its release, then\n\s*helm --namespace NAMESPACE uninstall NAME",
    max_seconds=180,
    remedy="theirs is uninstalled",
    scope="full",
)
def another_operator_elsewhere(context: FaultContext) -> Iterator[None]:
    """the cluster has somebody's own release of the operator, in another namespace"""
    bare_cluster(context)
    with release_of_others(context, "theirs"):
        yield
