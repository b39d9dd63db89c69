"""Whether workloads fit, in the scheduler's words, and the ways out: each is tried out."""

import cProfile
import pstats
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import gpu_workload
from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.capacity.render.summary import rolling_update_text
from k3sgpu.capacity.scheduling import FitSummary
from k3sgpu.capacity.taints import GPU_TOLERATION
from tests.data.stack_files import GOOD, REMOVE, RESOURCES, with_
from tests.unit.capacity.fits import fit_of_settings

SLICES = f"{RESOURCES}/0/replicas"
RENAMED = {"sharing/profiles/six/timeSlicing/renameByDefault": True}
ON_GPU_2 = {"kubernetes.io/hostname": "gpu-2"}
NO_MATCH = "node(s) didn't match Pod's node affinity/selector"
SECOND_NODE = {"pools/rtx/hosts/gpu-2": "10.0.0.22"}


def fit_of(changes: dict[str, Any]) -> capacity.Fit:
    """The good file: one server, one node with six slices, two pods of two; changed."""
    return fit_of_settings(s.parse(with_(changes)))


def the_problem(fit: capacity.Fit) -> s.Problem:
    """The only one there is."""
    assert len(fit.problems) == 1, s.render(fit.problems)
    return fit.problems[0]


def test_the_article_fits() -> None:
    fit = fit_of({})
    assert fit.fits is True and fit.problems == () and fit.pending == ()
    assert fit.nodes_by_pod == {"w#1": "gpu-1", "w#2": "gpu-1"}


def test_without_workloads_everything_fits() -> None:
    assert fit_of({"workloads": REMOVE}).fits is True


@pytest.mark.parametrize(
    ("changes", "pending", "message"),
    [
        # The article's own message: one card, two pods.
        (
            {"pools/rtx/gpu/profile": "none", "workloads/w/gpus": 1},
            1,
            "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.",
        ),
        ({"workloads/w/replicas": 5}, 2, "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."),
        (
            {"workloads/w/replicas": 4, "workloads/w/nodeSelector": {"accelerator": "NVIDIA-H200"}},
            1,
            f"0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 {NO_MATCH}.",
        ),
        (
            {**SECOND_NODE, "workloads/w": {"replicas": 2, "gpus": 4, "nodeSelector": ON_GPU_2}},
            1,
            f"0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 {NO_MATCH}.",
        ),
        (
            {"workloads/w/nodeSelector": {"accelerator": "other"}},
            2,
            f"0/2 nodes are available: 2 {NO_MATCH}.",
        ),
        ({"workloads/w/resource": "nvidia.com/gpu.shared"}, 2,
         "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.shared."),
        # Reasons are sorted as texts, so 10 comes before 2.
        (
            {
                **{f"pools/rtx/hosts/gpu-{n}": f"10.0.1.{n}" for n in range(2, 11)},
                "pools/old": {"role": "agent", "hosts": {"o": "10.0.2.1"},
                              "gpu": {"product": "OLD", "count": 1, "memoryMiB": 1}},
                "workloads/w": {"gpus": 7, "nodeSelector": {"accelerator": "NVIDIA-H200"}},
            },
            1,
            f"0/12 nodes are available: 10 Insufficient nvidia.com/gpu, 2 {NO_MATCH}.",
        ),
    ],
)  # fmt: skip
def test_the_schedulers_verdict(changes: dict[str, Any], pending: int, message: str) -> None:
    fit = fit_of(changes)
    assert fit.fits is False
    assert [pod.message for pod in fit.pending] == [message] * pending
    problem = the_problem(fit)
    assert problem.severity == "error"
    assert message in problem.found
    assert f"{pending} " in problem.found


@pytest.mark.parametrize("key", ["kubernetes.io/os", "kubernetes.io/hostname", "nvidia.com/gpu.replicas"])
def test_labels_known_beforehand(key: str) -> None:
    value = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": "gpu-1", "nvidia.com/gpu.replicas": "6"}[
        key
    ]
    assert fit_of({"workloads/w/nodeSelector": {key: value}}).fits is True
    assert fit_of({"workloads/w/nodeSelector": {key: "other"}}).fits is False


def test_the_product_label_says_shared() -> None:
    selector = {"workloads/w/nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H200"}}
    problem = the_problem(fit_of(selector))
    assert problem.where == "workloads.w.nodeSelector"
    assert "nvidia.com/gpu.product=NVIDIA-H200-SHARED" in problem.expected
    assert "accelerator" in problem.remedy
    assert fit_of({"workloads/w/nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H200-SHARED"}}).fits is True


WHOLE = {
    "role": "agent",
    "hosts": {"gpu-9": "10.0.0.29"},
    "gpu": {"product": "NVIDIA-H200", "count": 2, "memoryMiB": 143771},
}


def test_a_pool_is_where_its_workload_goes() -> None:
    fit = fit_of({"pools/whole": WHOLE, "workloads/w": {"replicas": 2, "gpus": 1, "pool": "whole"}})
    assert fit.nodes_by_pod == {"w#1": "gpu-9", "w#2": "gpu-9"}
    fit = fit_of({"pools/whole": WHOLE, "workloads/w": {"replicas": 3, "gpus": 1, "pool": "whole"}})
    assert f"0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 {NO_MATCH}." in the_problem(fit).found


def test_a_pool_without_the_resource_is_told_which_pools_have_it() -> None:
    partitions = {"profile": "cut", "mig": {"1g.18gb": 7}}
    changes = {
        "pools/cut": {**WHOLE, "gpu": WHOLE["gpu"] | partitions},
        "sharing/profiles/cut": {"migStrategy": "mixed"},
        "workloads/w": {"pool": "cut"},
    }
    problem = the_problem(fit_of(changes))
    assert problem.where == "workloads.w.pool"
    assert "cut, of which no node offers nvidia.com/gpu" in problem.found
    assert problem.remedy == "write pool: rtx, or remove it"


def test_only_pools_that_a_workload_names_are_labelled() -> None:
    label = "k3s-gpu-sharing/pool"
    plain, named = (
        {
            offer.name: offer.program_labels.get(label)
            for offer in fit_of({"pools/whole": WHOLE, **more}).offers
        }
        for more in ({}, {"workloads/w/pool": "rtx"})
    )
    assert set(plain.values()) == {None}
    assert named == {"server-1": None, "gpu-1": "rtx", "gpu-9": None}


def test_a_label_nobody_knows_is_not_decided() -> None:
    fit = fit_of({"workloads/w/nodeSelector": {"zone": "a"}})
    assert fit.fits is None
    assert the_problem(fit).severity == "warning" and "w selects on zone" in the_problem(fit).found


def test_a_label_nobody_knows_cannot_make_room() -> None:
    assert fit_of({"workloads/w/nodeSelector": {"zone": "a"}, "workloads/w/replicas": 4}).fits is False


def test_a_renamed_resource_has_its_new_name() -> None:
    problem = the_problem(fit_of(RENAMED))
    assert problem.where == "workloads.w.resource"
    assert "gpu-1: 6 nvidia.com/gpu.shared (profile six)" in problem.expected
    assert "write resource: nvidia.com/gpu.shared" in problem.remedy
    assert fit_of({**RENAMED, "workloads/w/resource": "nvidia.com/gpu.shared"}).fits is True


def test_without_any_gpu_the_remedy_is_one() -> None:
    assert "add gpu:" in the_problem(fit_of({"pools/rtx/gpu": REMOVE})).remedy


def test_pods_that_fit_in_some_order_only() -> None:
    changes = {**SECOND_NODE, "workloads": {"small": {"replicas": 6}, "large": {"gpus": 6}}}
    fit = fit_of(changes)
    assert fit.fits is None and fit.pending == ()
    assert the_problem(fit).severity == "warning" and "in some order" in the_problem(fit).found


def test_every_kind_of_misfit_is_told_at_once() -> None:
    fit = fit_of({
        "workloads/w/replicas": 4,
        "workloads/astray": {"nodeSelector": {"accelerator": "x"}},
        "workloads/foreign": {"resource": "nvidia.com/gpu.shared"},
    })  # fmt: skip
    assert {problem.where for problem in fit.problems} == {
        "workloads.w",
        "workloads.astray.nodeSelector",
        "workloads.foreign.resource",
    }


@pytest.mark.parametrize(
    ("setting", "severities"), [("enforce", ["error"]), ("warn", ["warning"]), ("off", [])]
)
def test_the_setting_changes_how_it_is_told_and_nothing_else(setting: str, severities: list[str]) -> None:
    fit = fit_of({"workloads/w/replicas": 4, "fit": setting})
    assert [problem.severity for problem in fit.problems] == severities
    assert fit.fits is False and len(fit.pending) == 1


# The ways out


def ways(fit: capacity.Fit) -> list[str]:
    """The lines of the remedy."""
    return [line.removeprefix("- ") for line in the_problem(fit).remedy.splitlines()[1:]]


def test_the_ways_out_are_numbers() -> None:
    more_slices, fewer_pods, smaller, more_hosts = ways(fit_of({"workloads/w/replicas": 4}))
    assert more_slices.startswith("sharing.profiles.six: replicas: 8 instead of 6 (23961 -> 17971 MiB")
    assert fewer_pods == "workloads.w: replicas: 3 instead of 4 (1 pod fewer)"
    assert smaller.startswith("workloads.w: gpus: 1 instead of 2")
    assert more_hosts == "1 more host like gpu-1 (1 more card, 6 slices each)"


def test_cards_that_are_not_shared_can_be() -> None:
    first, *_ = ways(fit_of({"pools/rtx/gpu/profile": "none", "workloads/w/gpus": 1}))
    assert first.startswith("share the cards of pool rtx: a profile with replicas: 2 (143771 -> 71885 MiB")


def test_a_request_too_large_for_any_node_is_not_helped_by_more_nodes() -> None:
    kinds = ways(fit_of({"workloads/w": {"gpus": 8}}))
    assert [re.split(r"[:(]", way)[0] for way in kinds] == ["sharing.profiles.six", "workloads.w"]


@settings(max_examples=25, deadline=None)
@given(
    slices=st.integers(2, 6), cards=st.integers(1, 3), hosts=st.integers(1, 3),
    pods=st.integers(1, 30), gpus=st.integers(1, 8),
)  # fmt: skip
def test_each_way_out_is_one_and_none_is_larger_than_needed(
    slices: int, cards: int, hosts: int, pods: int, gpus: int
) -> None:
    addresses = {f"gpu-{n}": f"10.0.0.{20 + n}" for n in range(hosts)}
    base = {
        "pools/rtx/hosts": addresses, "pools/rtx/gpu/count": cards, SLICES: slices,
        "workloads/w": {"replicas": pods, "gpus": gpus},
    }  # fmt: skip
    fit = fit_of(base)
    assert fit.fits is (pods <= hosts * (cards * slices // gpus))
    for way in ways(fit) if fit.fits is False else []:
        number = int(re.findall(r"(?:replicas: |gpus: |^)(\d+)", way)[0])
        for step, enough in ((0, True), (1, False)):
            assert fit_of({**base, **changed(way, number, step, addresses)}).fits is enough, (way, step)


def changed(way: str, number: int, step: int, addresses: dict[str, str]) -> dict[str, Any]:
    """What a way out says to write; with step 1, one less of it."""
    if way.startswith("sharing"):
        return {SLICES: number - step}
    if way.startswith("workloads.w: replicas"):
        return {"workloads/w/replicas": number + step}
    if way.startswith("workloads.w: gpus"):
        return {"workloads/w/gpus": number + step}
    new = {f"new-{n}": f"10.0.1.{n}" for n in range(number - step)}
    return {"pools/rtx/hosts": {**addresses, **new}}


def many(nodes: int, slices: int, sizes: tuple[int, ...]) -> s.Settings:
    """Ten pods a node, in eight workloads whose pods ask for one of `sizes`."""
    hosts = {f"gpu-{n}": f"10.9.{n // 200}.{n % 200 + 1}" for n in range(nodes)}
    workloads = {f"w{n}": {"replicas": 10 * nodes // 8, "gpus": sizes[n % len(sizes)]} for n in range(8)}
    pods = {"k3s/clusterCidr": "10.64.0.0/12"}  # a /24 for each node
    return s.parse(with_({**pods, "pools/rtx/hosts": hosts, "workloads": workloads, SLICES: slices}))


@pytest.mark.parametrize(
    ("slices", "sizes", "verdict"),
    [(12, (1,), "any order"), (15, (1, 2), "some orders"), (6, (1, 2, 3), "no order")],
)
def test_the_work_grows_as_the_cluster_does(slices: int, sizes: tuple[int, ...], verdict: str) -> None:
    calls = []
    for nodes in (100, 1000):  # the larger: 10,000 pods
        work = cProfile.Profile()
        fit = work.runcall(fit_of_settings, many(nodes, slices, sizes))
        calls.append(pstats.Stats(work).total_calls)  # pyright: ignore[reportAttributeAccessIssue]
        assert fit.verdict == verdict and len(fit.placements) + len(fit.pending) == 10 * nodes
    assert calls[1] < 20 * calls[0]  # ten times the nodes and pods


def test_the_good_file_is_what_these_tests_take_it_for() -> None:
    assert GOOD["workloads"] == {"w": {"replicas": 2, "gpus": 2}}


# What else the scheduler looks at


TAINT = {"pools/rtx/taints": ["team=red:NoSchedule"], "pools/control/taints": ["team=red:NoSchedule"]}


def test_a_taint_of_the_stack_file_keeps_pods_out() -> None:
    fit = fit_of(TAINT)
    problem = the_problem(fit)
    assert {pod.message for pod in fit.pending} == {
        "0/2 nodes are available: 2 node(s) had untolerated taint(s)."
    }
    assert "gpu-1: taint team=red:NoSchedule" in problem.expected and "the pool's taints" in problem.remedy


@pytest.mark.parametrize("taint", ["nvidia.com/gpu=present:NoSchedule", "a:PreferNoSchedule"])
def test_taints_that_do_not_matter(taint: str) -> None:
    assert fit_of({"pools/rtx/taints": [taint]}).fits is True


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "team", "value": "red"}, True),
        ({"key": "team", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "team", "value": "blue"}, False),
        ({"key": "team", "value": "red", "effect": "NoExecute"}, False),
        ({"key": "crew", "operator": "Exists"}, False),
    ],
)
def test_a_toleration_lets_pods_in(toleration: dict[str, str], fits: bool) -> None:
    assert fit_of({**TAINT, "workloads/w/tolerations": [toleration]}).fits is fits


def test_who_tolerates_a_taint_has_its_nodes_for_itself() -> None:
    alone = {"replicas": 3, "gpus": 2, "tolerations": [{"key": "team", "operator": "Exists"}]}
    fit = fit_of({**TAINT, "workloads": {"red": alone, "w": {"replicas": 1}}})
    assert {placement.workload for placement in fit.placements} == {"red"}
    assert [pod.workload for pod in fit.pending] == ["w"]


def test_a_job_needs_room_for_what_runs_at_one_time() -> None:
    job = {"kind": "Job", "completions": 9, "gpus": 2}
    assert fit_of({"workloads": {"w": {**job, "parallelism": 3}}}).fits is True
    (problem,) = fit_of({"workloads": {"w": {**job, "parallelism": 4}}}).problems
    assert "workloads.w: parallelism: 3 instead of 4" in problem.remedy


def test_the_pods_tolerate_what_the_arithmetic_says_they_do() -> None:
    (toleration,) = gpu_workload.TOLERATIONS
    assert toleration == {"key": GPU_TOLERATION.key, "operator": "Exists", "effect": GPU_TOLERATION.effect}


def test_a_label_of_the_stack_file_is_known() -> None:
    label = {f"pools/{pool}/labels": {"zone": "a"} for pool in ("rtx", "control")}
    assert fit_of({**label, "workloads/w/nodeSelector": {"zone": "a"}}).fits is True
    assert fit_of({**label, "workloads/w/nodeSelector": {"zone": "b"}}).fits is False


def test_what_others_use_is_not_free() -> None:
    assert fit_of({"pools/rtx/reserved": {"nvidia.com/gpu": 2}}).fits is True
    fit = fit_of({"pools/rtx/reserved": {"nvidia.com/gpu": 3}})
    assert fit.fits is False and "the nodes offer 6, of which others leave 3" in the_problem(fit).expected
    assert "sharing.profiles.six: replicas: 7 instead of 6" in the_problem(fit).remedy
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "reserved": {}}}
    assert fit_of({"pools/rtx/reserved": {"nvidia.com/gpu": 3}, **host}).fits is True


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"pools/rtx/reserved": {"nvidia.com/gpu": 7}}, "pools.rtx.reserved.nvidia.com/gpu", "6 nvidia"),
        ({"pools/control/reserved": {"a.b/c": 1}}, "pools.control.reserved.a.b/c", "nothing"),
        (
            {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "reserved": {"nvidia.com/gpu.shared": 1}}},
            "pools.rtx.hosts.gpu-1.reserved.nvidia.com/gpu.shared",
            "6 nvidia.com/gpu (on gpu-1)",
        ),
    ],
)  # fmt: skip
def test_more_is_reserved_than_there_is(changes: dict[str, Any], path: str, expected: str) -> None:
    found = {problem.where: problem for problem in fit_of(changes).problems}
    assert expected in found[path].expected


# Later


def test_what_becomes_of_the_pods_when_a_node_is_lost() -> None:
    (loss,) = fit_of({}).node_losses
    assert loss.nodes == ("gpu-1",) and loss.result == FitSummary("no order", 2, 2)
    (loss,) = fit_of(SECOND_NODE).node_losses
    assert loss.nodes == ("gpu-1", "gpu-2") and loss.result == FitSummary("any order", 0, 0)
    pinned, other = fit_of({**SECOND_NODE, "workloads/w/nodeSelector": ON_GPU_2}).node_losses, "gpu-2"
    assert [(loss.nodes, loss.result.min_pending) for loss in pinned] == [((other,), 2)]


def test_what_becomes_of_the_pods_in_a_rolling_update() -> None:
    assert "however many Deployments" in rolling_update_text(fit_of({}))
    some = {**SECOND_NODE, "workloads": {"small": {"replicas": 6}, "large": {"gpus": 6}}}
    assert rolling_update_text(fit_of(some)).startswith("one Deployment at a time")
    assert "a Pending pod may take the seat" in rolling_update_text(fit_of({"workloads/w/replicas": 4}))


# A cluster that is there


def seen_of(changes: dict[str, Any], pods: list[dict[str, Any]], **node: Any) -> capacity.Fit:
    """The fit on a cluster whose gpu-1 has six slices and these pods; `node` is more of its spec."""
    parsed = s.parse(with_(changes))
    nodes = [
        {"metadata": {"name": "gpu-1", "labels": {"zone": "a"}}, "spec": node,
         "status": {"allocatable": {"nvidia.com/gpu": "6", "cpu": "2"}}},
        {"metadata": {"name": "server-1"}},
        {"metadata": {"name": "by-hand", "labels": {}}, "status": {"allocatable": {"nvidia.com/gpu": "1"}}},
    ]  # fmt: skip
    return capacity.fit(parsed, capacity.offers(parsed), capacity.node_usage(parsed, nodes, pods))


def a_pod(owner: str, gpus: int, phase: str = "Running", namespace: str = "default") -> dict[str, Any]:
    """On gpu-1."""
    return {
        "metadata": {
            "name": f"{owner}-x", "namespace": namespace,
            "ownerReferences": [{"kind": "ReplicaSet", "name": owner}],
        },
        "spec": {"nodeName": "gpu-1",
                 "containers": [{"resources": {"requests": {"nvidia.com/gpu": str(gpus), "cpu": "1"}}}]},
        "status": {"phase": phase},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pods", "pending"),
    [
        ([], 0),
        ([a_pod("w-5d9c", 2)], 0),  # the stack's own
        ([a_pod("other-5d9c", 2)], 0),
        ([a_pod("other-5d9c", 3)], 1),
        ([a_pod("w-5d9c", 3, namespace="elsewhere")], 1),
        ([a_pod("other-5d9c", 3, phase="Succeeded")], 0),
    ],
)
def test_pods_outside_the_stack_use_slices(pods: list[dict[str, Any]], pending: int) -> None:
    assert len(seen_of({}, pods).pending) == pending


def test_nodes_outside_the_stack_count_as_the_scheduler_counts_them() -> None:
    assert seen_of({"workloads/w": {"replicas": 7}}, []).fits is True
    (pod,) = seen_of({"workloads/w": {"replicas": 8}}, []).pending
    assert pod.message == "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def test_pods_of_the_stacks_jobs_are_the_stacks_own() -> None:
    pod = a_pod("w", 5)
    pod["metadata"]["ownerReferences"][0]["kind"] = "Job"
    assert len(seen_of({}, [pod]).pending) == 2  # w is a Deployment: the Job is somebody else's
    assert not seen_of({"workloads/w": {"kind": "Job"}}, [pod]).pending


def test_labels_taints_and_cordons_are_seen() -> None:
    assert seen_of({"workloads/w/nodeSelector": {"zone": "a"}}, []).fits is True
    assert seen_of({"workloads/w/nodeSelector": {"zone": "b"}}, []).fits is False
    cordoned = seen_of({}, [], unschedulable=True)
    assert cordoned.pending[0].message == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu."
    )
    tainted = seen_of({}, [], taints=[{"key": "a", "effect": "NoExecute"}])
    assert "1 node(s) had untolerated taint(s)" in tainted.pending[0].message
