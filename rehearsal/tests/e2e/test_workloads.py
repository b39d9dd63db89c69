"""Jobs, and the proof that a node's GPUs compute: passed, skipped where all slices are taken, failed."""

from collections.abc import Iterator

import pytest

from rehearsal.lab.fixture import Stage, stack_config, stage

BOX = "work-1"
BROKEN = "/etc/standin/broken-card"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One machine with six slices, all of them wanted."""
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {BOX: "10.77.0.81"}
    config["workloads"] = {"busy": {"replicas": 6}}
    config["verify"] = "strict"
    with stage("work", tmp_path_factory.mktemp("work"), config) as one:
        yield one


def verdict(work: Stage) -> str:
    return work.resources()["pulumi:pulumi:Stack k3s-gpu-sharing-work"]["outputs"]["verified"][BOX]


def jobs_left(work: Stage) -> list[str]:
    jobs = work.get("jobs", "--namespace", "gpu-operator")["items"]
    return [job["metadata"]["name"] for job in jobs if not job["metadata"].get("deletionTimestamp")]


def test_a_slice_computes_before_the_workloads_come(work: Stage):
    work.machines_up()
    work.up()
    assert verdict(work) == "passed"
    assert work.get("deployment", "busy")["status"]["readyReplicas"] == 6
    assert jobs_left(work) == []


def test_a_full_node_is_skipped(work: Stage):
    work.config["verify"] = {"strict": True, "image": "mirror.example/vectoradd:1"}
    assert work.up()["update"] == 1
    assert verdict(work) == "skipped: full"
    assert jobs_left(work) == []


def test_a_job_that_fails_tells_its_pod_and_exit_code(work: Stage):
    work.on(work.machines_up()[BOX], f"echo 'Xid 79: the GPU has fallen off the bus' > {BROKEN}")
    work.config["workloads"] = {"busy": {"replicas": 4}, "gpu-operator-test": {}}
    said = work.refused(work.up)
    assert "Job default/gpu-operator-test has failed: BackoffLimitExceeded" in said
    assert f"on {BOX}: exit code 1 (Error: stand-in, from the container's log: Xid 79" in said
    assert "the last lines of gpu-operator-test-" in said


def test_a_card_that_does_not_compute_fails_a_strict_update(work: Stage):
    del work.config["workloads"]["gpu-operator-test"]
    work.config["verify"] = "strict"
    said = work.refused(work.up)
    assert f"no slice computes on {BOX}" in said and "Xid 79" in said
    work.config["verify"] = {"strict": False}
    work.up()
    assert verdict(work).startswith("failed: BackoffLimitExceeded")


def test_a_changed_job_is_made_again_and_succeeds(work: Stage):
    work.on(work.machines_up()[BOX], f"rm {BROKEN}")
    job = {
        "kind": "Job",
        "image": "mine.example/sum:1",
        "completions": 2,
        "parallelism": 2,
        "namespace": "sums",
    }
    work.config["verify"] = "strict"
    work.config["workloads"]["sum"] = job
    work.up()
    assert verdict(work) == "passed"
    first = work.get("job", "sum", "--namespace", "sums")
    assert first["status"]["succeeded"] == 2
    told = work.site.told(work.tools)
    assert "busy: 4 of 4 Running" in told and "sum: 2 of 2 Complete" in told
    work.config["workloads"]["sum"] = {**job, "env": {"ROUNDS": "2"}}
    assert work.up()["replace"] == 1
    second = work.get("job", "sum", "--namespace", "sums")
    assert second["metadata"]["uid"] != first["metadata"]["uid"] and second["status"]["succeeded"] == 2
    assert set(work.up()) == {"same"}
    work.destroy()
