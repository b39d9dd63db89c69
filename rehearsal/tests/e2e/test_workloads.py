"""Jobs, and the check that a slice of each node computes: passed, skipped on a full node, failed."""

from collections.abc import Iterator

import pytest

from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture

BOX = "work-1"
BROKEN = "/etc/standin/broken-card"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """One machine with six slices, and a workload that uses all of them."""
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {BOX: "10.77.0.81"}
    config["workloads"] = {"busy": {"replicas": 6}}
    config["verify"] = "strict"
    with stack_fixture("workloads", tmp_path_factory.mktemp("workloads"), config) as one:
        yield one


def verdict(cluster: StackFixture) -> str:
    return cluster.resources()["pulumi:pulumi:Stack k3s-gpu-sharing-workloads"]["outputs"]["verified"][BOX]


def jobs_left(cluster: StackFixture) -> list[str]:
    jobs = cluster.get("jobs", "--namespace", "gpu-operator")["items"]
    return [job["metadata"]["name"] for job in jobs if not job["metadata"].get("deletionTimestamp")]


def test_a_slice_is_verified_before_workloads_start(cluster: StackFixture):
    cluster.start_machines()
    cluster.up()
    assert verdict(cluster) == "passed"
    assert cluster.get("deployment", "busy")["status"]["readyReplicas"] == 6
    assert jobs_left(cluster) == []


def test_a_full_node_is_skipped(cluster: StackFixture):
    cluster.config["verify"] = {"strict": True, "image": "mirror.example/vectoradd:1"}
    assert cluster.up()["update"] == 1
    assert verdict(cluster) == "skipped: full"
    assert jobs_left(cluster) == []


def test_a_failed_job_is_reported_with_pod_and_exit_code(cluster: StackFixture):
    cluster.run_on(cluster.start_machines()[BOX], f"echo 'Xid 79: the GPU has fallen off the bus' > {BROKEN}")
    cluster.config["workloads"] = {"busy": {"replicas": 4}, "gpu-operator-test": {}}
    said = cluster.expect_failure(cluster.up)
    assert "Job default/gpu-operator-test has failed: BackoffLimitExceeded" in said
    assert f"on {BOX}: exit code 1 (Error: stand-in, from the container's log: Xid 79" in said
    assert "the last lines of gpu-operator-test-" in said


def test_a_broken_card_fails_a_strict_update(cluster: StackFixture):
    del cluster.config["workloads"]["gpu-operator-test"]
    cluster.config["verify"] = "strict"
    said = cluster.expect_failure(cluster.up)
    assert f"no slice computes on {BOX}" in said and "Xid 79" in said
    cluster.config["verify"] = {"strict": False}
    cluster.up()
    assert verdict(cluster).startswith("failed: BackoffLimitExceeded")


def test_a_changed_job_is_replaced_and_succeeds(cluster: StackFixture):
    cluster.run_on(cluster.start_machines()[BOX], f"rm {BROKEN}")
    job = {
        "kind": "Job",
        "image": "mine.example/sum:1",
        "completions": 2,
        "parallelism": 2,
        "namespace": "sums",
    }
    cluster.config["verify"] = "strict"
    cluster.config["workloads"]["sum"] = job
    cluster.up()
    assert verdict(cluster) == "passed"
    first = cluster.get("job", "sum", "--namespace", "sums")
    assert first["status"]["succeeded"] == 2
    told = cluster.stack.describe_cluster(cluster.tools)
    assert "busy: 4 of 4 Running" in told and "sum: 2 of 2 Complete" in told
    cluster.config["workloads"]["sum"] = {**job, "env": {"ROUNDS": "2"}}
    assert cluster.up()["replace"] == 1
    second = cluster.get("job", "sum", "--namespace", "sums")
    assert second["metadata"]["uid"] != first["metadata"]["uid"] and second["status"]["succeeded"] == 2
    assert set(cluster.up()) == {"same"}
    cluster.destroy()
