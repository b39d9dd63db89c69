"""Faults of the GPU Operator: interrupted Helm operations, somebody else's operator, deleted CRDs."""

import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator

from rehearsal.faults.context import SERVER, FaultContext
from rehearsal.faults.fault import fault, problem
from rehearsal.process import run

AREA = "operator"
# Pulumi's own Kubernetes plugin, which contains Helm, or the stand-in with its helm.
KUBERNETES_PLUGIN = r"pulumi-resource-kubernetes|plugins\.kubernetes|helm install"
CHART = "rehearsal/simulators/chart"
# The sections without which the API server rejects a ClusterPolicy.
REQUIRED_SECTIONS = (
    *("operator", "driver", "toolkit", "devicePlugin", "dcgm", "dcgmExporter", "gfd"),
    *("nodeStatusExporter", "daemonsets"),
)
DELETE_SECRET = r"kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator"
NOT_IN_STATE = r"there is a release gpu-operator/gpu-operator that this stack's state does not know"
NOT_OURS = r"the cluster has an operator, or a part of one, that is not this stack's"
operator_fault = functools.partial(fault, AREA, scope="full")


def helm(context: FaultContext, *arguments: str) -> None:
    """Runs Helm with the administrator's kubeconfig."""
    cluster = context.cluster
    run([cluster.tools.helm, *arguments, "--kubeconfig", cluster.stack.kubeconfig], timeout=120)


def helm_operation_runs(context: FaultContext, status: str) -> Callable[[], str]:
    """A check for a Helm operation on the operator with this status, such as pending-install."""
    selected = f"--namespace gpu-operator --selector owner=helm,status={status} --output name"
    return lambda: context.run_on(SERVER, f"k3s kubectl get secrets {selected}")


def delete_helm_secrets(context: FaultContext, more: str = "") -> None:
    """Deletes the Secrets in which Helm keeps the operator's release; `more` is added to the selector."""
    secrets = f"delete secret --selector owner=helm,name=gpu-operator{more}"
    context.run_on(SERVER, f"k3s kubectl --namespace gpu-operator {secrets}")


def create_k3s_only(context: FaultContext) -> None:
    """Creates the cluster without operator and workloads; the next `up` adds them."""
    kept = {key: context.config[key] for key in ("gpuOperator", "workloads")}
    context.config.update(gpuOperator={"enabled": False}, workloads={})
    context.cluster.up()
    context.config.update(kept)


@contextlib.contextmanager
def foreign_release(context: FaultContext, namespace: str) -> Iterator[None]:
    """Installs the operator as somebody else's release, in a namespace of its own, within the block."""
    own = ("--namespace", namespace)
    off = ("--set", "driver.enabled=false,toolkit.enabled=false")
    helm(context, "install", "theirs", CHART, *own, "--create-namespace", *off, "--wait")
    yield
    helm(context, "uninstall", "theirs", *own, "--wait")
    context.cluster.kubectl("delete", "namespace", namespace)


@operator_fault(
    "refresh",
    max_seconds=150,
    remedy="the refresh finds it, and the `up` after it installs the operator again",
    fails=False,
)
def operator_uninstalled(context: FaultContext) -> Iterator[None]:
    """somebody uninstalls the operator with Helm"""
    helm(context, "uninstall", "gpu-operator", "--namespace", "gpu-operator", "--wait")
    yield


@operator_fault(
    "first up",
    NOT_IN_STATE,
    DELETE_SECRET,
    max_seconds=150,
    remedy="the Secret in which Helm keeps the operation is deleted",
)
def install_in_progress(context: FaultContext) -> Iterator[None]:
    """the engine is killed while Helm installs the operator"""
    context.kill_run_when("the operator's install", helm_operation_runs(context, "pending-install"))
    yield
    delete_helm_secrets(context)


@operator_fault(
    "first up",
    NOT_IN_STATE,
    r"grep -o 'Pulumi stack k3s-gpu-sharing/\S+'",
    DELETE_SECRET,
    max_seconds=150,
    remedy="the Secret in which Helm keeps the release is deleted, and the release taken over",
)
def install_outlives_engine(context: FaultContext) -> Iterator[None]:
    """the engine is killed while Helm installs the operator, and Pulumi's plugin finishes the install"""
    pending = helm_operation_runs(context, "pending-install")
    context.kill_run_when("the operator's install", pending, survivors=KUBERNETES_PLUGIN)
    assert helm_operation_runs(context, "deployed")(), "the plugin did not finish the install"
    yield
    (command,) = set(re.findall(r"kubectl .+ \| grep -o '.+?'", "\n".join(context.cluster.output)))
    assert context.run_on(SERVER, f"k3s {command}"), (
        "the printed command takes the release for somebody else's"
    )
    delete_helm_secrets(context)


@operator_fault(
    "change",
    r"an operation on the release gpu-operator/gpu-operator was cut off, and Helm waits for its end",
    r"kubectl --namespace gpu-operator delete secret -l 'owner=helm,name=gpu-operator,status in",
    max_seconds=150,
    remedy="the Secret in which Helm keeps the operation is deleted",
)
def upgrade_in_progress(context: FaultContext) -> Iterator[None]:
    """the engine is killed while Helm upgrades the operator"""
    too_much = {"cpu": "1000"}  # no node has it, so Helm waits for the pod
    requests = {"resources": {"limits": too_much, "requests": too_much}}
    context.config["gpuOperator"]["values"] = {"operator": requests}
    context.kill_run_when("the operator's upgrade", helm_operation_runs(context, "pending-upgrade"))
    yield
    delete_helm_secrets(context, ",status=pending-upgrade")
    del context.config["gpuOperator"]["values"]


@operator_fault(
    "refresh",
    r'no matches for kind "ClusterPolicy"',
    problem("gpu-sharing", "somebody has deleted NVIDIA's CRDs"),
    DELETE_SECRET + r"\n\s*then refresh",
    max_seconds=150,
    remedy="the Secret in which Helm keeps the release is deleted, and the operator installed again",
)
def crd_missing(context: FaultContext) -> Iterator[None]:
    """somebody deletes the CRD of NVIDIA's ClusterPolicy, and so the ClusterPolicy"""
    context.cluster.kubectl("delete", "crd", "clusterpolicies.nvidia.com")
    yield
    delete_helm_secrets(context)


@operator_fault(
    "first up",
    r'ClusterPolicy "cluster-policy"',
    NOT_OURS,
    r"kubectl delete clusterpolicy cluster-policy",
    max_seconds=180,
    remedy="that ClusterPolicy is deleted",
)
def another_policy(context: FaultContext) -> Iterator[None]:
    """the cluster has somebody else's ClusterPolicy"""
    create_k3s_only(context)
    crd = f"{CHART}/crds/clusterpolicies.nvidia.com.yaml"
    context.cluster.kubectl("apply", "--server-side", "--filename", crd)
    context.cluster.kubectl("wait", "--for", "condition=Established", "--timeout", "30s", "--filename", crd)
    theirs = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {section: {} for section in REQUIRED_SECTIONS},
    }
    context.cluster.kubectl("create", "--filename", "-", stdin=json.dumps(theirs))
    yield
    context.cluster.kubectl("delete", "clusterpolicy", "cluster-policy")


@operator_fault(
    "first up",
    r'namespaces "gpu-operator" already exists',
    problem("gpu-profiles", "the cluster has a namespace gpu-operator that is not this stack's"),
    r"helm --namespace gpu-operator uninstall NAME --wait; kubectl delete namespace gpu-operator; up",
    max_seconds=180,
    remedy="that release is uninstalled, and its namespace deleted",
)
def another_operator(context: FaultContext) -> Iterator[None]:
    """the cluster has somebody else's release of the operator in our namespace"""
    create_k3s_only(context)
    with foreign_release(context, "gpu-operator"):
        yield


@operator_fault(
    "first up",
    r"cannot be imported into the current release",
    NOT_OURS,
    r"helm list --all-namespaces names its release, then\n\s*helm --namespace NAMESPACE uninstall NAME",
    max_seconds=180,
    remedy="that release is uninstalled",
)
def another_operator_elsewhere(context: FaultContext) -> Iterator[None]:
    """the cluster has somebody else's release of the operator in another namespace"""
    create_k3s_only(context)
    with foreign_release(context, "theirs"):
        yield
