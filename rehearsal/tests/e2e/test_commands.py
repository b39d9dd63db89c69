"""The commands of the Makefile, with one machine that is server and GPU node at once."""

import re
from collections.abc import Iterator

import pytest

from rehearsal import __main__ as command
from rehearsal.lab import machines
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.trace import Trace
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress

HOST = "box-1"
RESOURCES = 24
GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("single")
    for pool in config["pools"].values():
        pool["hosts"] = {HOST: "10.77.0.152"}
    with stack_fixture("onebox", tmp_path_factory.mktemp("onebox"), config) as one:
        one.write_stack_file()
        yield one


def test_preview_up_up_doctor_down(cluster: StackFixture, capfd: pytest.CaptureFixture[str]):
    assert command.preview(cluster.stack, Progress()) == 0
    assert f"{RESOURCES} to create" in capfd.readouterr().out

    assert command.up(cluster.stack, Progress(), Trace()) == 0
    said = capfd.readouterr().out
    for words in (
        f"create  Command cluster-server-{HOST}",
        f"SSH connections\n  {HOST}: 6\n",
        f"{HOST}: Ready",
        "nvidia.com/gpu: 6 capacity, 6 allocatable, 4 allocated",
        "nvidia.com/gpu.product: NVIDIA-GeForce-RTX-2080-Ti-SHARED",
        "nvidia-plugin-test-2: 2 of 2 Running",
        "4 of 6 slices taken",
        "stand-ins: ",
        f"{RESOURCES} created",
        "make down STACK=onebox",
    ):
        assert words in said
    assert (cluster.stack.state / "kubeconfig").stat().st_mode & 0o777 == 0o600

    assert command.up(cluster.stack, Progress()) == 0
    assert f"{RESOURCES} unchanged" in capfd.readouterr().out

    lost = "nvidia.com/gpu.deploy.operands"
    cluster.kubectl("label", "node", HOST, f"{lost}=false", "--overwrite")
    wait_until("the slices to go", lambda: cluster.get("node", HOST)["status"]["allocatable"].get(GPU) != "6")
    with pytest.raises(RehearsalError, match=rf"(?s){GPU}\n +found: +0.*does not have what it promises"):
        command.up(cluster.stack, Progress())
    cluster.kubectl("label", "node", HOST, f"{lost}-")
    assert command.up(cluster.stack, Progress()) == 0
    capfd.readouterr()

    assert command.doctor(cluster.stack, Progress()) == 0
    said = capfd.readouterr().out
    # Perhaps with a warning: the machines have the disk of the computer that runs this test.
    assert re.search(r"^doctor hosts: .*(no problems|\d+ waived)$", said, re.MULTILINE)
    assert "doctor cluster: no problems" in said

    assert command.down(cluster.stack, Progress()) == 0
    assert "nothing left behind" in capfd.readouterr().out
    assert machines.leftovers("onebox") == []
    assert not cluster.stack.folder.exists()
    assert not (cluster.stack.state / "kubeconfig").is_symlink()


def test_down_needs_no_stack_file(cluster: StackFixture, capfd: pytest.CaptureFixture[str]):
    assert command.up(cluster.stack, Progress()) == 0
    text = cluster.stack.stack_file.read_text()
    cluster.stack.stack_file.write_text("config: {}")
    try:
        assert command.down(cluster.stack, Progress()) == 0
    finally:
        cluster.stack.stack_file.write_text(text)
    assert "nothing left behind" in capfd.readouterr().out


def test_a_machine_outside_the_rehearsals_network_is_refused(cluster: StackFixture):
    pool = next(iter(cluster.config["pools"].values()))
    pool["hosts"] = {HOST: "192.0.2.1"}
    with pytest.raises(RehearsalError, match=r"192\.0\.2\.1"):
        cluster.start_machines()
