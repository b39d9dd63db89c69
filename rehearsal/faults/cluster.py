"""In the cluster: its API, the operator, sharing configurations, nodes, cards."""

import contextlib
import json
from collections.abc import Callable, Iterator

from rehearsal.faults import inject
from rehearsal.faults.fault import AGENT, SERVER, Life, fault
from rehearsal.lab import gpus
from rehearsal.lab.fixture import eventually
from rehearsal.process import run

AREA = "inside the cluster"
CHART = "rehearsal/simulators/chart"
PROFILE = "2080ti-12gb"
# Without these no ClusterPolicy is accepted.
REQUIRED = (
    *("operator", "driver", "toolkit", "devicePlugin", "dcgm", "dcgmExporter", "gfd"),
    *("nodeStatusExporter", "daemonsets"),
)


def the_crd(life: Life) -> None:
    """The kind of a ClusterPolicy is there."""
    crd = f"{CHART}/crds/clusterpolicies.nvidia.com.yaml"
    life.stage.kubectl("apply", "--server-side", "--filename", crd)
    life.stage.kubectl("wait", "--for", "condition=Established", "--timeout", "30s", "--filename", crd)


def bare_cluster(life: Life) -> None:
    """Makes the cluster without anything in it; what the stack file has for it comes with the next `up`."""
    kept = {key: life.config[key] for key in ("gpuOperator", "workloads")}
    life.config.update(gpuOperator={"enabled": False}, workloads={})
    life.stage.up()
    life.config.update(kept)


def helm(life: Life, *arguments: str) -> None:
    """Helm, as somebody beside the program would use it."""
    made = life.stage
    run([made.tools.helm, *arguments, "--kubeconfig", made.site.kubeconfig], timeout=120)


@contextlib.contextmanager
def release_of_others(life: Life, namespace: str) -> Iterator[None]:
    """Meanwhile somebody's own release of the operator is there, in a namespace of its own."""
    own = ("--namespace", namespace)
    off = ("--set", "driver.enabled=false,toolkit.enabled=false")
    helm(life, "install", "theirs", CHART, *own, "--create-namespace", *off, "--wait")
    yield
    helm(life, "uninstall", "theirs", *own, "--wait")
    life.stage.kubectl("delete", "namespace", namespace)


def other_slices(life: Life, count: int) -> None:
    """A change that every part in the cluster takes part in."""
    life.config["sharing"]["profiles"][PROFILE]["timeSlicing"]["resources"][0]["replicas"] = count


def cards(life: Life, count: int) -> None:
    """The machine has so many cards from now on."""
    machine = life[AGENT]
    made = gpus.Gpus("NVIDIA-GeForce-RTX-2080-Ti", count, 11264)
    gpus.install(made, machine.name, machine.root, machine.folder / "sysfs")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: nvidia\.com/gpu\n\s*found: +",
    r"doctor cluster after 2\d s",
    r"kubectl -n gpu-operator",
    within=150,
    healed="the operator gets its device plugin back",
    setting="whole",
)
def plugin_missing(life: Life) -> Iterator[None]:
    """the operator is told to leave its device plugin out, and slices never come"""
    life.config["gpuOperator"]["values"] = {"devicePlugin": {"enabled": False}}
    with life.impatient("gpuOperator"):
        yield
    del life.config["gpuOperator"]["values"]


@fault(
    AREA,
    "change",
    r"drain: the API server https://10\.77\.0\.213:6443 is unreachable, asked for 30 s",
    r"look at k3s there: sudo systemctl status k3s",
    within=120,
    healed="`systemctl start k3s` on the server",
    setting="whole",
)
def api_down_at_up(life: Life) -> Iterator[None]:
    """the API server is down when a profile changes"""
    life.config["k3s"]["generation"] -= 1  # or the server would be looked after first
    other_slices(life, 5)
    with life.without_api():
        yield
    other_slices(life, 6)


@fault(
    AREA,
    "change",
    r"nvidia-plugin-test-2\n\s*found: +the cluster's API server does not answer",
    r"https://10\.77\.0\.213:6443",
    r"systemctl status k3s; journalctl -u k3s",
    within=60,
    healed="`systemctl start k3s` on the server",
    setting="whole",
)
def api_down_at_a_workload(life: Life) -> Iterator[None]:
    """the API server is down when a workload changes"""
    life.config["k3s"]["generation"] -= 1
    life.config["workloads"]["nvidia-plugin-test-2"]["replicas"] = 1
    with life.without_api():
        yield
    life.config["workloads"]["nvidia-plugin-test-2"]["replicas"] = 2


@fault(
    AREA,
    "change",
    within=120,
    healed="the server's script starts k3s, and the change goes through",
    refused=False,
    setting="whole",
)
def server_stopped(life: Life) -> Iterator[None]:
    """k3s is stopped on the server when an `up` comes that goes to every machine"""
    life.on(SERVER, "systemctl stop k3s")
    yield


@fault(
    AREA,
    "refresh",
    r"unreachable|connection refused",
    within=120,
    healed="`systemctl start k3s` on the server; the state has lost nothing",
    setting="whole",
)
def api_down_at_refresh(life: Life) -> Iterator[None]:
    """the API server is down when the state is compared with the cluster"""
    with life.without_api():
        yield


@fault(
    AREA,
    "destroy",
    within=120,
    healed="it is not asked: the cluster goes with its machines",
    refused=False,
    setting="whole",
)
def api_down_at_destroy(life: Life) -> Iterator[None]:
    """the API server is down when everything is to go"""
    life.on(SERVER, "systemctl stop k3s")
    yield


def broken_by_hand(life: Life) -> None:
    name = ("configmap", "time-slicing-config", "--namespace", "gpu-operator")
    data = life.stage.get(*name)["data"]
    broken = {key: text.replace("replicas: 6", "replicas: 1") for key, text in data.items()}
    assert broken != data
    life.stage.kubectl("patch", *name, "--type", "merge", "--patch", json.dumps({"data": broken}))
    # It reads its file when it starts, and when another is chosen.
    plugin = ("--namespace", "gpu-operator", "--selector", "app=nvidia-device-plugin-daemonset")
    life.stage.kubectl("delete", "pods", *plugin)
    eventually("no slices", lambda: life.slices() != "6")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: nvidia\.com/gpu\n\s*found: +",
    r"the plugin does not start with its sharing file",
    r"kubectl -n gpu-operator logs ds/nvidia-device-plugin-daemonset",
    within=150,
    healed="`pulumi refresh`, and the next `up` writes the right one",
    setting="whole",
)
def plugin_crashing(life: Life) -> Iterator[None]:
    """NVIDIA's plugin does not start with a configuration, again and again"""
    broken_by_hand(life)
    with life.impatient("gpuOperator"):
        yield
    life.stage.refresh()


@fault(
    AREA,
    "refresh",
    within=150,
    healed="a refresh sees it, and the `up` after it writes the right ones",
    refused=False,
    setting="whole",
)
def config_map_by_hand(life: Life) -> Iterator[None]:
    """somebody edits the sharing configurations, and the plugin does not start with them"""
    broken_by_hand(life)
    yield


@fault(
    AREA,
    "refresh",
    within=150,
    healed="a refresh sees it, and the `up` after it puts it right",
    refused=False,
    setting="whole",
)
def label_by_hand(life: Life) -> Iterator[None]:
    """somebody takes the label away that chooses a node's slices"""
    life.stage.kubectl("label", "node", AGENT, "nvidia.com/device-plugin.config-")
    yield


@fault(
    AREA,
    "refresh",
    within=150,
    healed="`k3s.generation` is raised: k3s starts and registers it; its labels come with the refresh",
    refused=False,
    setting="whole",
)
def node_by_hand(life: Life) -> Iterator[None]:
    """somebody deletes a node that is at work"""
    life.stage.kubectl("delete", "node", AGENT)
    life.generation()
    yield


@fault(
    AREA,
    "refresh",
    within=150,
    healed="a refresh sees it, and the `up` after it installs it again",
    refused=False,
    setting="whole",
)
def operator_uninstalled(life: Life) -> Iterator[None]:
    """somebody uninstalls the operator with Helm"""
    helm(life, "uninstall", "gpu-operator", "--namespace", "gpu-operator", "--wait")
    yield


def helm_is_at(life: Life, status: str) -> Callable[[], str]:
    """A look at whether Helm is in the middle of an operation on the operator."""
    about = f"--namespace gpu-operator --selector owner=helm,status={status} --output name"
    return lambda: life.on(SERVER, f"k3s kubectl get secrets {about}")


def forget_release(life: Life, those: str = "") -> None:
    """Deletes what Helm keeps of the operator's release, or `those` of its revisions."""
    secrets = f"delete secret --selector owner=helm,name=gpu-operator{those}"
    life.on(SERVER, f"k3s kubectl --namespace gpu-operator {secrets}")


@fault(
    AREA,
    "first up",
    r"there is a release gpu-operator/gpu-operator that this stack does not know",
    r"kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator",
    within=150,
    healed="the secret that Helm keeps of the operation is deleted",
    setting="whole",
)
def install_in_progress(life: Life) -> Iterator[None]:
    """the engine is killed while Helm installs the operator"""
    life.killed("the operator's install", helm_is_at(life, "pending-install"))
    yield
    forget_release(life)


@fault(
    AREA,
    "change",
    r"an operation on the release gpu-operator/gpu-operator was cut off, and Helm waits for its end",
    r"kubectl --namespace gpu-operator delete secret -l 'owner=helm,name=gpu-operator,status in",
    within=150,
    healed="the secret that Helm keeps of the operation is deleted",
    setting="whole",
)
def upgrade_in_progress(life: Life) -> Iterator[None]:
    """the engine is killed while Helm changes the operator"""
    nowhere = {"cpu": "1000"}  # so that Helm waits for its pod
    asked = {"resources": {"limits": nowhere, "requests": nowhere}}
    life.config["gpuOperator"]["values"] = {"operator": asked}
    life.killed("the operator's change", helm_is_at(life, "pending-upgrade"))
    yield
    forget_release(life, ",status=pending-upgrade")
    del life.config["gpuOperator"]["values"]


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: gpu\n\s*found: +2 NVIDIA cards in nvidia-smi",
    r"count: 2 in the pool, if that is right",
    within=60,
    healed="the machine is as declared",
    setting="whole",
)
def more_cards(life: Life) -> Iterator[None]:
    """a machine has two cards, and one is declared"""
    cards(life, 2)
    yield
    cards(life, 1)


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: gpu\n\s*found: +0 NVIDIA cards in nvidia-smi",
    r"look at dmesg for the missing card",
    within=60,
    healed="the card is back",
    setting="whole",
)
def card_gone(life: Life) -> Iterator[None]:
    """a card has fallen off the bus"""
    cards(life, 0)
    yield
    cards(life, 1)


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: nvidia\.com/gpu\n\s*found: +",
    r"doctor cluster after 2\d s",
    within=150,
    healed="the label is let go",
    setting="whole",
)
def operands_switched_off(life: Life) -> Iterator[None]:
    """somebody tells the operator to leave a node alone"""
    life.stage.kubectl("label", "node", AGENT, "nvidia.com/gpu.deploy.operands=false", "--overwrite")
    with life.impatient("gpuOperator"):
        yield
    life.stage.kubectl("label", "node", AGENT, "nvidia.com/gpu.deploy.operands-")


@fault(
    AREA,
    "refresh",
    r'no matches for kind "ClusterPolicy"',
    r"gpu-sharing\n\s*found: +somebody has deleted NVIDIA's CRDs",
    r"kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator\n\s*then refresh",
    within=150,
    healed="the secret that Helm keeps of the release is deleted, and the operator installed anew",
    setting="whole",
)
def crd_missing(life: Life) -> Iterator[None]:
    """somebody deletes the kind of NVIDIA's ClusterPolicy, and with it the one there is"""
    life.stage.kubectl("delete", "crd", "clusterpolicies.nvidia.com")
    yield
    forget_release(life)


@fault(
    AREA,
    "change",
    within=150,
    healed="the program takes its field back with the change",
    refused=False,
    setting="whole",
)
def field_of_another(life: Life) -> Iterator[None]:
    """another manager has taken the field that chooses the configurations"""
    theirs = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {"devicePlugin": {"config": {"name": "theirs", "default": "any"}}},
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager", "somebody", "--filename", "-")
    life.stage.kubectl(*apply, stdin=json.dumps(theirs))
    life.stage.refresh()
    yield


@fault(
    AREA,
    "first up",
    r'ClusterPolicy "cluster-policy"',
    r"the cluster has an operator, or a part of one, that is not this stack's",
    r"kubectl delete clusterpolicy cluster-policy",
    within=180,
    healed="theirs is taken away",
    setting="whole",
)
def another_policy(life: Life) -> Iterator[None]:
    """the cluster has somebody else's ClusterPolicy"""
    bare_cluster(life)
    the_crd(life)
    theirs = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {part: {} for part in REQUIRED},
    }
    life.stage.kubectl("create", "--filename", "-", stdin=json.dumps(theirs))
    yield
    life.stage.kubectl("delete", "clusterpolicy", "cluster-policy")
    assert inject.exists(life[SERVER], "/usr/local/bin/k3s")


@fault(
    AREA,
    "first up",
    r'namespaces "gpu-operator" already exists',
    r"gpu-profiles\n\s*found: +the cluster has a namespace gpu-operator that is not this stack's",
    r"helm --namespace gpu-operator uninstall NAME --wait; kubectl delete namespace gpu-operator; up",
    within=180,
    healed="theirs is uninstalled, and its namespace deleted",
    setting="whole",
)
def another_operator(life: Life) -> Iterator[None]:
    """the cluster has somebody's own release of the operator, where ours is to be"""
    bare_cluster(life)
    with release_of_others(life, "gpu-operator"):
        yield


@fault(
    AREA,
    "first up",
    r"cannot be imported into the current release",
    r"the cluster has an operator, or a part of one, that is not this stack's",
    r"helm list --all-namespaces names its release, then\n\s*helm --namespace NAMESPACE uninstall NAME",
    within=180,
    healed="theirs is uninstalled",
    setting="whole",
)
def another_operator_elsewhere(life: Life) -> Iterator[None]:
    """the cluster has somebody's own release of the operator, in another namespace"""
    bare_cluster(life)
    with release_of_others(life, "theirs"):
        yield
