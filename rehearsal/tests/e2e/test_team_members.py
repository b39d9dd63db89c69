"""`free` and `why` with a member's token and nothing else, before a real API server and scheduler.

There is no kubelet: the tests write into a pod's status what a kubelet would, and remove pods that end.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

import httpx2
import pytest
import yaml

from k3sgpu.capacity import TeamShare
from k3sgpu.cli.main import main
from k3sgpu.handoff.teams import SHARES_VARIABLE, TOKENS_VARIABLE, eviction_plan, member_kubeconfigs
from k3sgpu.teams.names import MEMBERS_NAMESPACE, guaranteed_quota
from rehearsal.progress import Progress
from rehearsal.tests.e2e.controlplane import ControlPlane, control_plane
from rehearsal.tests.e2e.team_cluster import apply, wait_until
from rehearsal.toolchain import toolbox
from tests.data.team_files import objects_of, team_settings
from tests.unit.docs.pages import Page
from tools.team_permissions.action import GPU, NODE, in_namespace, thing

FLAGS = {
    "kube-apiserver": ["--disable-admission-plugins=TaintNodesByCondition"],
    # No controller may judge a Node without a kubelet.
    "kube-controller-manager": ["--controllers=*,-node-lifecycle-controller"],
}
TEAMS: Final = {"vision": ("ana", "bo"), "students": ("cy", "di")}
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Lab:
    """A control plane with two teams, and their members' kubeconfigs in a folder."""

    plane: ControlPlane
    admin: httpx2.Client
    folder: Path

    def member(self, name: str, method: str, path: str, body: Any = None) -> httpx2.Response:
        """A member's own request."""
        config = yaml.safe_load((self.folder / name).read_text())
        token = config["users"][0]["user"]["token"]
        return self.admin.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})

    def create(self, name: str, kind: str, body: dict[str, Any]) -> None:
        """Creates a pod or workload as a member. Raises AssertionError with the API server's answer."""
        group, plural = {"Pod": ("", "pods"), "Job": ("batch/v1", "jobs")}.get(
            kind, ("apps/v1", "deployments")
        )
        answer = self.member(name, "POST", in_namespace(plural, self.team(name), group), body)
        assert answer.status_code == 201, answer.text

    def team(self, member: str) -> str:
        return next(team for team, members in TEAMS.items() if member in members)

    def ask(self, member: str, *command: str) -> tuple[int, Any]:
        """The exit status and the JSON of one of the commands for members."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = main([*command, "--kubeconfig", str(self.folder / member), "--json"])
        return status, json.loads(out.getvalue())

    def why(self, member: str, name: str, cause: str, words: str) -> str:
        """What `why` finds and advises with this cause and these words, as soon as it does."""
        seen: list[Any] = []

        def missing() -> str:
            _, told = self.ask(member, "why", name)
            findings = [one for reason in told["reasons"] for one in reason["findings"]]
            texts = [f"{one['found']} | {one['remedy']}" for one in findings if one["cause"] == cause]
            seen[:] = [text for text in texts if words in text]
            return "" if seen else json.dumps(findings)

        wait_until(f"{cause} of {name}", missing)
        return "\n".join(seen)

    def set_status(self, team: str, pod: str, status: dict[str, Any]) -> None:
        """Writes what a kubelet would."""
        path = in_namespace(f"pods/{pod}/status", team)
        answer = self.admin.patch(path, json={"status": status}, headers=MERGE)
        assert answer.is_success, answer.text

    def set_node(self, **status: Any) -> None:
        answer = self.admin.patch(f"/api/v1/nodes/{NODE}/status", json={"status": status}, headers=MERGE)
        assert answer.is_success, answer.text

    def wait_for_node_of(self, team: str, pod: str) -> None:
        path = in_namespace(f"pods/{pod}", team)
        wait_until(f"{pod} to be placed", lambda: "" if self.get(path)["spec"].get("nodeName") else "no node")

    def get(self, path: str) -> Any:
        return self.admin.get(path).raise_for_status().json()

    def clear(self) -> None:
        """Removes all pods and workloads of the teams, and waits until the quotas count none."""
        for team in TEAMS:
            for group, plural in (("apps/v1", "deployments"), ("batch/v1", "jobs"), ("", "pods")):
                body = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
                self.admin.request("DELETE", in_namespace(plural, team, group), json=body)
            wait_until(f"the quotas of {team}", lambda team=team: self._used(team))

    def _used(self, team: str) -> str:
        for pod in self.get(in_namespace("pods", team))["items"]:
            name = pod["metadata"]["name"]
            self.admin.request("DELETE", in_namespace(f"pods/{name}?gracePeriodSeconds=0", team))
        quotas = self.get(in_namespace("resourcequotas", team))["items"]
        used = [one["status"].get("used", {}).get(f"requests.{GPU}", "0") for one in quotas]
        return "" if set(used) == {"0"} else f"used: {used}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    objects = objects_of(team_settings())
    programs, folder = toolbox.prepare(Progress()).bin, tmp_path_factory.mktemp("members")
    with (
        control_plane(folder, programs, scheduler=True, flags=FLAGS) as plane,
        plane.client(30) as client,
    ):
        apply(client, objects.shared)
        for some in (*objects.teams.values(), *objects.members.values()):
            apply(client, some)
        apply(client, [thing("node.k8s.io/v1", "RuntimeClass", "nvidia", handler="nvidia"), _node()])
        lab = Lab(plane, client, folder)
        for team, members in TEAMS.items():
            _issue_tokens(lab, team, members)
        yield lab


@pytest.fixture
def lab(running: Lab) -> Lab:
    running.set_node(**_node()["status"])
    running.clear()
    return running


def _node() -> dict[str, Any]:
    amounts = {GPU: "6", "cpu": "16", "memory": "64Gi", "pods": "110"}
    node = thing("v1", "Node", NODE, status={"capacity": amounts, "allocatable": amounts})
    node["metadata"]["labels"] = {"k3s-gpu-sharing/pool": "rtx", "kubernetes.io/hostname": NODE}
    node["status"]["conditions"] = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    return node


def _issue_tokens(lab: Lab, team: str, members: tuple[str, ...]) -> None:
    """Runs `team tokens` as the program does, and keeps the members' kubeconfigs."""
    accounts = {name: lab.get(in_namespace(f"serviceaccounts/{name}", MEMBERS_NAMESPACE)) for name in members}
    plan = {
        "namespace": MEMBERS_NAMESPACE,
        "members": {name: {"team": team, "uid": one["metadata"]["uid"]} for name, one in accounts.items()},
        "renewal": 1,
    }
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, {TOKENS_VARIABLE: json.dumps(plan)}),
        mock.patch("sys.stdin", io.StringIO(lab.plane.kubeconfig)),
        contextlib.redirect_stdout(out),
    ):
        assert main(["team", "tokens"]) == 0
    for name, text in member_kubeconfigs(out.getvalue()).items():
        (lab.folder / name).write_text(text)


def pod(name: str, slices: int = 1, priority: str = "", **spec: Any) -> dict[str, Any]:
    """A pod as a member writes it: the team's policy fills in the rest."""
    container = {"name": "main", "image": "example.org/image"}
    if slices:
        container |= {"resources": {"limits": {GPU: str(slices)}}}
    chosen = {"priorityClassName": priority} if priority else {}
    return thing("v1", "Pod", name, spec={"containers": [container], **chosen, **spec})


def deployment(name: str, slices: int = 1, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name, slices, **spec)["spec"]}
    body = {"selector": {"matchLabels": labels}, "template": template}
    return thing("apps/v1", "Deployment", name, spec=body)


def test_free_counts_what_teams_have_booked(lab: Lab) -> None:
    lab.create("ana", "Pod", pod("train", 1))
    lab.create("ana", "Pod", pod("extra", 2, "burst-rtx"))
    lab.create("cy", "Pod", pod("homework", 1))
    found: dict[str, Any] = {}

    def missing() -> str:
        found.update(lab.ask("ana", "free")[1])
        teams = found["pools"][0]["booked"].items()
        booked = {team: (one["guaranteed"]["used"], one["burst"]["used"]) for team, one in teams}
        return "" if booked == {"vision": (1, 2), "students": (0, 1)} else str(booked)

    wait_until("the quotas", missing)
    assert (found["team"], found["member"], found["hours"]) == ("vision", "ana", {"default": 8, "max": 24})
    free = found["pools"][0]["free"]
    assert (free["guaranteed"]["slices"], free["guaranteed"]["bound"]) == (1, "the team's guarantee")
    assert (free["burst"]["slices"], free["burst"]["largestPod"]) == (1, 1)
    assert {one["name"]: one["priorityClass"] for one in found["pods"]} == {
        "train": "guaranteed-rtx",
        "extra": "burst-rtx",
    }
    _, seen = lab.ask("cy", "free")
    assert seen["pools"][0]["member"] == {"used": 1, "hard": 1}
    assert seen["pools"][0]["free"]["burst"] == {
        "slices": 0,
        "largestPod": 0,
        "largestPodPerhaps": 0,
        "bound": "what one member may use",
        "priorityClass": "burst-rtx.cy",
    }


def test_why_names_the_quota_and_who_uses_it(lab: Lab) -> None:
    lab.create("bo", "Pod", pod("first", 2))
    lab.create("ana", "Deployment", deployment("late"))
    told = lab.why(
        "ana", "late", "quota", "uses its guarantee in pool rtx: the pod requests 1 nvidia.com/gpu"
    )
    assert "2 of 2 are used" in told
    assert "used by first (2)" in told and "write priorityClassName: burst-rtx" in told
    lab.create("ana", "Pod", pod("burst", 3, "burst-rtx"))
    lab.create("ana", "Deployment", deployment("more", priorityClassName="burst-rtx"))
    lab.why("ana", "more", "quota", "use all that its limit in pool rtx has above its guarantee")
    lab.create("cy", "Pod", pod("one"))
    job = thing(
        "batch/v1", "Job", "two", spec={"template": {"spec": pod("x", restartPolicy="Never")["spec"]}}
    )
    lab.create("cy", "Job", job)
    lab.why("cy", "two", "quota", "as many slices of pool rtx as one member may")


@pytest.mark.parametrize(
    ("spec", "slices", "cause", "words"),
    [
        ({}, 4, "admission", "request no more for one pod than 3 nvidia.com/gpu in pool rtx"),
        ({"hostNetwork": True}, 1, "pod security", "host namespaces (hostNetwork=true)"),
        ({"priorityClassName": "mine"}, 1, "admission", "there is no PriorityClass mine"),
    ],
)
def test_why_repeats_what_the_policy_says(lab: Lab, spec: dict, slices: int, cause: str, words: str) -> None:
    lab.create("ana", "Deployment", deployment("refused", slices, **spec))
    lab.why("ana", "deployment/refused", cause, words)


def test_why_counts_the_room_of_a_pod_that_waits(lab: Lab) -> None:
    lab.set_node(allocatable={GPU: "3"}, capacity={GPU: "3"})
    lab.create("ana", "Pod", pod("guaranteed", 2))
    lab.create("cy", "Pod", pod("small"))
    lab.wait_for_node_of("students", "small")
    lab.wait_for_node_of("vision", "guaranteed")
    lab.create("ana", "Pod", pod("waits", 2, "burst-rtx"))
    told = lab.why("ana", "waits", "room", "no node of pool rtx has 2 nvidia.com/gpu free for this burst pod")
    assert "\nnodes: gpu-1 has 3\n" in told
    assert "booked: 2 by guaranteed pods, 3 by burst pods" in told
    lab.set_node(conditions=[{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}])
    lab.why("ana", "waits", "node", "gpu-1 it is not Ready (NodeStatusUnknown)")


def test_why_says_who_preempted_a_burst_pod(lab: Lab) -> None:
    lab.set_node(allocatable={GPU: "2"}, capacity={GPU: "2"})
    for member in ("cy", "di"):
        lab.create(member, "Pod", pod(f"of-{member}"))
        lab.wait_for_node_of("students", f"of-{member}")
        lab.set_status("students", f"of-{member}", {"phase": "Running"})
    lab.create("ana", "Pod", pod("urgent", 2))
    lab.why("ana", "urgent", "waiting", "burst pods on gpu-1 end now")
    lab.why("cy", "of-cy", "preemption", "a pod of others on gpu-1 got its slices, at 20")
    lab.admin.request("DELETE", in_namespace("pods/of-cy?gracePeriodSeconds=0", "students"))
    lab.admin.request("DELETE", in_namespace("pods/of-di?gracePeriodSeconds=0", "students"))
    lab.wait_for_node_of("vision", "urgent")
    lab.why("cy", "of-cy", "gone", "pod of-cy exists no more")
    lab.why("cy", "of-cy", "preemption", "a pod of others on gpu-1")
    lab.set_node(allocatable={GPU: "4"}, capacity={GPU: "4"})
    lab.create("ana", "Pod", pod("displaced", 2, "burst-rtx"))
    lab.wait_for_node_of("vision", "displaced")
    lab.admin.request("DELETE", in_namespace("pods/urgent?gracePeriodSeconds=0", "vision"))
    lab.set_node(allocatable={GPU: "2"}, capacity={GPU: "2"})
    lab.create("bo", "Pod", pod("mine", 2))
    lab.why("ana", "displaced", "preemption", "pod mine of the own team on gpu-1")


def test_why_names_the_pods_own_constraints(lab: Lab) -> None:
    lab.create("ana", "Pod", pod("selects", nodeSelector={"disk": "ssd"}))
    lab.why("ana", "selects", "own constraint", "selects by: disk=ssd")
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "none"}}
    lab.create("ana", "Pod", pod("mounts", volumes=[volume]))
    lab.why("ana", "mounts", "volume", 'persistentvolumeclaim "none" not found')


STATES: dict[str, dict[str, Any]] = {
    "card": {
        "phase": "Failed",
        "reason": "UnexpectedAdmissionError",
        "message": "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices",
    },
    "time limit": {"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was active too long"},
    "image": {
        "containerStatuses": [
            {
                "name": "main",
                "image": "x",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "\x1b[31mno such image"}},
            }
        ]
    },
    "fine": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("card", "no healthy devices present"),
        ("time limit", "it ran for as long as it may: 28800 s (8 h)"),
        ("image", "\\x1b[31mno such image"),
        ("fine", "it runs on gpu-1"),
    ],
)
def test_why_reads_what_the_kubelet_says(lab: Lab, cause: str, words: str) -> None:
    lab.create("ana", "Pod", pod("train"))
    lab.wait_for_node_of("vision", "train")
    lab.set_status("vision", "train", STATES[cause])
    lab.why("ana", "train", cause, words)
    status, told = lab.ask("ana", "why", "train")
    assert (status, told["fine"]) == ((0, True) if cause == "fine" else (1, False))


def test_why_tells_of_an_eviction(lab: Lab) -> None:
    lab.create("ana", "Pod", pod("moved"))
    lab.wait_for_node_of("vision", "moved")
    lab.set_status("vision", "moved", {"phase": "Running"})
    body = thing("policy/v1", "Eviction", "moved")
    answer = lab.admin.post(in_namespace("pods/moved/eviction", "vision"), json=body)
    assert answer.is_success, answer.text
    lab.why("ana", "moved", "eviction", "it was evicted at 20")


@contextlib.contextmanager
def ending_pods(lab: Lab, team: str) -> Iterator[None]:
    """Removes the pods that are told to end, as a kubelet does once their containers have ended."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.2):
            for one in lab.get(in_namespace("pods", team))["items"]:
                if "deletionTimestamp" in one["metadata"]:
                    path = in_namespace(f"pods/{one['metadata']['name']}", team)
                    lab.admin.delete(path, params={"gracePeriodSeconds": "0"})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_lower_guarantee_evicts_the_newest_pod_despite_a_budget(lab: Lab) -> None:
    for name in ("a-old", "b-new"):
        lab.create("ana", "Pod", pod(name, terminationGracePeriodSeconds=1))
        lab.wait_for_node_of("vision", name)
        lab.set_status("vision", name, {"phase": "Running"})
    budget = thing("policy/v1", "PodDisruptionBudget", "all", spec={"minAvailable": 9, "selector": {}})
    budgets = in_namespace("poddisruptionbudgets", "vision", "policy/v1")
    assert lab.admin.post(budgets, json=budget).is_success
    share = TeamShare("vision", "rtx", GPU, guaranteed=1, limit=4, per_pod=3, per_member=None)
    try:
        _set_guarantee(lab, 1)
        with (
            ending_pods(lab, "vision"),
            mock.patch.dict(os.environ, {SHARES_VARIABLE: json.dumps(eviction_plan(["vision"], [share]))}),
            mock.patch("sys.stdin", io.StringIO(lab.plane.kubeconfig)),
        ):
            assert main(["team", "evict"]) == 0
        left = [one["metadata"]["name"] for one in lab.get(in_namespace("pods", "vision"))["items"]]
        assert left == ["a-old"]
    finally:
        lab.admin.delete(f"{budgets}/all")
        _set_guarantee(lab, 2)


def _set_guarantee(lab: Lab, slices: int) -> None:
    body = {"spec": {"hard": {f"requests.{GPU}": str(slices)}}}
    path = in_namespace(f"resourcequotas/{guaranteed_quota('rtx')}", "vision")
    assert lab.admin.patch(path, json=body, headers=MERGE).is_success


def test_job_of_the_guide_gets_its_slice(lab: Lab) -> None:
    (block,) = Page("docs/guides/for-members.md").blocks("yaml")
    lab.create("ana", "Job", yaml.safe_load(block))
    found: dict[str, Any] = {}

    def missing() -> str:
        pods = lab.get(in_namespace("pods", "vision"))["items"]
        found.update(pods[0]["spec"] if pods else {})
        return "" if found.get("nodeName") else str([one.get("status") for one in pods])

    wait_until("the Job's pod", missing)
    assert (found["runtimeClassName"], found["activeDeadlineSeconds"]) == ("nvidia", 8 * 3600)


def test_former_member_learns_that_the_token_has_ended(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load((lab.folder / "bo").read_text())
    config["users"][0]["user"]["token"] += "x"
    file = lab.folder / "former"
    file.write_text(yaml.safe_dump(config))
    assert main(["free", "--kubeconfig", str(file)]) == 2
    assert "your token has ended, or you are no member any more" in capsys.readouterr().err
