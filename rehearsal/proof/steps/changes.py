"""Changes of the sharing: requests of one slice, MPS and back, a broken file; verification and a Job."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rehearsal.lab import objects
from rehearsal.lab.fixture import wait_until
from rehearsal.proof.proof_cluster import (
    CARD_TEST,
    GPU,
    PAUSE,
    SHORT_SECONDS,
    WORKLOAD,
    ProofCluster,
    Unexpected,
    expect,
    phases,
    starts,
)
from rehearsal.proof.steps.article import SLICES, check_computing, profile_name, slices_profile
from rehearsal.proof.walk import See

REFUSED = "maximum request size for shared resources is 1; found 2"
GREEDY = "greedy"
REPORTED = "rejected by the kubelet"
STORM_SECONDS = 4
NEW_PLUGIN_SECONDS = 60
"""The old plugin may use up its grace period of 30 s, and the new one starts after it has ended."""
CLIENTS = 4
"""The number of MPS clients of a card."""
MPS_SERVERS = "ps -e -o args= | grep -c -E '^([^ ]*/)?nvidia-cuda-mps-server' || :"
COMPUTE_MODE = "nvidia-smi --query-gpu=compute_mode --format=csv,noheader"
CONFIG_MAP = ("configmap", "time-slicing-config", "--namespace", "gpu-operator")
PLUGIN_PODS = ("--namespace", "gpu-operator", "--selector", "app=nvidia-device-plugin-daemonset")
JOB = "gpu-operator-test"


def one_slice_only(proof: ProofCluster, see: See) -> None:
    """A request of 2 is refused in the stack file; one made by hand is rejected on the node, many times."""
    profile = slices_profile(SLICES, failRequestsGreaterThanOne=True)
    with proof.changed():
        proof.use_profile("one-slice", profile)
        proof.set_workload(replicas=2, slices=2)
        said = proof.cluster.expect_failure(proof.cluster.preview)
    expect("the stack file is refused", "failRequestsGreaterThanOne" in said, True)
    see("a workload that requests 2 slices is refused before anything is changed")
    proof.use_profile("one-slice", profile)
    proof.set_workload(replicas=2, slices=1)
    see(f"pulumi up with requests of 1: {proof.up()}")
    proof.wait_for_running(2)
    image = CARD_TEST if proof.has_card else PAUSE
    proof.create(json.loads(objects.deployment(GREEDY, count=2, image=image)))
    try:
        see_storm(proof, see)
    finally:
        proof.delete("deployment", GREEDY)
        proof.delete("pods", "--selector", f"app={GREEDY}", "--ignore-not-found")


def see_storm(proof: ProofCluster, see: See) -> None:
    """Counts the pods of a Deployment that the kubelet rejects: each makes room for a new one at once."""
    began = time.monotonic()

    def message() -> str:
        return rejected_for(proof.pods(GREEDY).values())

    words = wait_until("a rejected pod", message, SHORT_SECONDS)
    see(f"a Deployment made by hand that requests 2: {words}")
    expect("the plugin's words are in the message", REFUSED in words, True)
    time.sleep(STORM_SECONDS)
    found = phases(proof.pods(GREEDY))
    see(f"{found.get('Failed', 0)} pods were rejected in {time.monotonic() - began:.0f} s, none ran")
    expect("pods of it that run", found.get("Running", 0), 0)
    told = REPORTED in proof.doctor("cluster", "--kubeconfig", str(proof.cluster.stack.kubeconfig))
    expect("doctor reports the rejected pods", told, True)
    see(f"doctor reports them as {REPORTED}")


def rejected_for(pods: Iterable[Mapping[str, Any]]) -> str:
    """The kubelet's message about the first pod that it has rejected; empty while there is none."""
    return next(
        (
            f"{pod['status']['reason']}: {pod['status'].get('message', '')}"
            for pod in pods
            if pod["status"].get("reason") == "UnexpectedAdmissionError"
        ),
        "",
    )


def mps(proof: ProofCluster, see: See) -> None:
    """Sharing by MPS: the pods are drained first, then new ones compute as its clients."""
    modes = proof.run_everywhere(COMPUTE_MODE) if proof.has_card else {}
    old = proof.pods().keys()
    proof.use_profile("clients", {"mps": {"resources": [{"name": GPU, "replicas": CLIENTS}]}})
    proof.set_workload(replicas=2, slices=1)
    see(f"pulumi up with MPS: {proof.up()}")
    check_moved(proof, see, old, str(CLIENTS), "mps")
    if proof.has_card:
        servers = proof.run_everywhere(MPS_SERVERS)
        see("MPS servers: " + ", ".join(f"{number} on {name}" for name, number in servers.items()))
        expect("a machine without an MPS server", [n for n, number in servers.items() if number == "0"], [])
        expect("the cards' compute modes", proof.run_everywhere(COMPUTE_MODE), modes)


def back_to_time_slicing(proof: ProofCluster, see: See) -> None:
    """Back from MPS: the pods are drained again."""
    old = proof.pods().keys()
    proof.use_profile(profile_name(proof), slices_profile(SLICES))
    proof.set_workload(replicas=2)
    see(f"pulumi up with time-slicing: {proof.up()}")
    check_moved(proof, see, old, str(SLICES), "time-slicing")


def check_moved(proof: ProofCluster, see: See, old: Any, slices: str, strategy: str) -> None:
    """Checks what nodes offer after a drain, that no node is cordoned, and that the new pods compute."""
    pods = proof.wait_for_running(2)
    for name in proof.nodes:
        node = proof.cluster.get("node", name)
        found = node["status"]["allocatable"][GPU], objects.label(proof.cluster, name, "gpu.sharing-strategy")
        expect(f"allocatable and strategy of {name}", found, (slices, strategy))
        expect(f"{name} is cordoned", node["spec"].get("unschedulable", False), False)
    see(f"{slices} allocatable on each node, {strategy}; no node is cordoned; {len(pods)} new pods run")
    expect("pods that ran before the drain and still do", sorted(old & pods.keys()), [])
    check_computing(proof, see, pods)


def verify_strict(proof: ProofCluster, see: See) -> None:
    """`verify: strict`: a Job on each node computes on a slice, or the run fails."""
    proof.config["verify"] = {"strict": True, "image": CARD_TEST, "timeoutSeconds": 60}
    see(f"pulumi up: {proof.up()}")
    verdicts = proof.cluster.stack.engine(proof.cluster.tools).outputs()["verified"]
    see("verdicts: " + ", ".join(f"{node} {verdict}" for node, verdict in sorted(verdicts.items())))
    expect("verdicts", verdicts, dict.fromkeys(proof.nodes, "passed"))


def job(proof: ProofCluster, see: See) -> None:
    """The article's test as a Job of the stack: `pulumi up` ends when it has passed."""
    proof.config["workloads"][JOB] = {"kind": "Job", "image": CARD_TEST, "timeoutSeconds": 60}
    see(f"pulumi up: {proof.up()}")
    status = proof.cluster.get("job", JOB)["status"]
    expect("pods of the Job that succeeded", status.get("succeeded"), 1)
    (pod,) = proof.cluster.get("pods", "--selector", f"job-name={JOB}")["items"]
    see(proof.log(pod["metadata"]["name"]).verdict)


def broken_file_is_healed(proof: ProofCluster, see: See) -> None:
    """A sharing file that stops NVIDIA's plugin, written into the ConfigMap by hand, is replaced again."""
    data = proof.cluster.get(*CONFIG_MAP)["data"]
    ran = starts(proof.wait_for_running(2))
    broken = {key: text.replace(f"replicas: {SLICES}", "replicas: 1") for key, text in data.items()}
    if broken == data:
        raise Unexpected(f"found no 'replicas: {SLICES}' in the ConfigMap: {data}")
    patch = json.dumps({"data": broken})
    proof.cluster.kubectl("patch", *CONFIG_MAP, "--type", "merge", "--patch", patch)
    proof.cluster.kubectl("delete", "pods", "--wait=false", *PLUGIN_PODS)  # it reads its file when it starts
    seen = wait_until("a plugin that does not start", lambda: plugin_trouble(proof), NEW_PLUGIN_SECONDS)
    see(f"the plugin with replicas: 1 written by hand: {seen}")
    see(f"pulumi refresh: {proof.run_engine(proof.cluster.refresh)}")
    see(f"pulumi up: {proof.up()}")
    for name in proof.nodes:
        expect(f"slices of {name}", objects.offered(proof.cluster, name), {GPU: str(SLICES)})
    expect(f"starts of the pods of {WORKLOAD}", starts(proof.pods()), ran)
    see(f"{SLICES} slices again; the pods of {WORKLOAD} kept running")


def plugin_trouble(proof: ProofCluster) -> str:
    """Why a container of the plugin does not run; empty while all do."""
    return next(
        (
            f"{state['reason']}, exit code {status['lastState']['terminated']['exitCode']}"
            for pod in proof.cluster.get("pods", *PLUGIN_PODS)["items"]
            for status in pod["status"].get("containerStatuses", [])
            if (state := status["state"].get("waiting", {})).get("reason") == "CrashLoopBackOff"
            and "terminated" in status["lastState"]
        ),
        "",
    )
