"""A cluster leaves the program with everything running, and can be taken back."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml

from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import PREFIX, StackFixture, stack_config, stack_fixture
from rehearsal.lab.machine_records import RunningMachine

SERVER, AGENT = "10.77.0.78", "10.77.0.79"
UNITS = {"server-1": "k3s", "gpu-1": "k3s-agent"}
STARTS = "systemctl show --property=InvocationID,MainPID"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {"server-1": SERVER}
    config["pools"]["rtx"]["hosts"] = {"gpu-1": AGENT}
    with stack_fixture("released", tmp_path_factory.mktemp("released"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> dict[str, RunningMachine]:
    booted = cluster.start_machines()
    cluster.up()
    return booted


def k3sgpu(cluster: StackFixture, *words: str) -> str:
    """Types a command in the stack file's folder, and returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "k3sgpu", *words], cwd=cluster.stack.stack_file.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    print(done.stdout + done.stderr)
    assert done.returncode == 0
    return done.stdout + done.stderr


def running(cluster: StackFixture, machines: dict[str, RunningMachine]) -> list[object]:
    """What changes when a k3s or a pod starts again."""
    units = {name: cluster.run_on(machines[name], f"{STARTS} {unit}") for name, unit in UNITS.items()}
    pods = cluster.get("pods", "--all-namespaces")["items"]
    return [units, sorted((pod["metadata"]["uid"], pod["status"].get("startTime", "")) for pod in pods)]


def test_released_cluster_goes_on_and_up_refuses_it(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    before = running(cluster, machines)
    k3sgpu(cluster, "release", "released", "--yes")
    assert running(cluster, machines) == before
    for machine in machines.values():
        assert cluster.run_on(machine, "ls /etc/k3s-gpu-sharing") == "released"
        assert "INSTALL_K3S_VERSION" in cluster.run_on(machine, "cat /etc/k3s-gpu-sharing/released/README")
        assert "gone" in cluster.run_on(
            machine, "ls -d /usr/local/lib/k3s-gpu-sharing 2>/dev/null || echo gone"
        )
    notes = (cluster.stack.stack_file.parent / "Pulumi.released.released.md").read_text()
    assert "helm get values gpu-operator" in notes
    cluster.config["k3s"]["generation"] = 1
    assert "that this program did not install" in cluster.expect_failure(cluster.up)
    assert running(cluster, machines) == before


def test_released_cluster_is_adopted_again_without_a_restart(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    before = running(cluster, machines)
    cluster.stack.engine(cluster.tools).forget()
    cluster.stack.stack_file.unlink()
    state = cluster.stack.state
    k3sgpu(
        cluster, "adopt", "released", SERVER, AGENT, "--key", str(state / "id_ed25519"),
        "--known-hosts", str(state / "known_hosts"), "--mirror", "file:///opt/standin/release",
        "--waive", "cgroup,modules,swap,time-sync", "--chart", str(ROOT / "rehearsal/simulators/chart"),
    )  # fmt: skip
    written = yaml.safe_load(cluster.stack.stack_file.read_text())["config"]
    cluster.config = {key.removeprefix(PREFIX): value for key, value in written.items()}
    assert set(cluster.preview()) <= {"create", "import", "update", "same"}
    cluster.up()
    assert set(cluster.up()) == {"same"}
    assert running(cluster, machines) == before
