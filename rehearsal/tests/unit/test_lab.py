"""The rehearsal's own words and files: what it reports, and how it treats a stack file."""

import json
import os
import re
import socket
import subprocess
import sys
import weakref
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc
from pulumi.runtime.settings import Settings

from rehearsal.lab import cluster_summary, driver_files, gpus, policies, providers
from rehearsal.lab.engine import Engine, EngineFailed, is_held, use_own_grpc_connections
from rehearsal.progress import Progress
from rehearsal.toolchain import golang


def node(name: str, slices: str | None = None, ready: str = "True") -> dict:
    resources = {"nvidia.com/gpu": slices} if slices else {}
    labels = {"nvidia.com/gpu.product": "NVIDIA-H200-SHARED"} if slices else {}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "nodeInfo": {"kubeletVersion": "v1.36.2+k3s1"},
            "conditions": [{"type": "Ready", "status": ready}],
            "capacity": resources,
            "allocatable": resources,
        },
    }


def pod(name: str, on: str | None, gpus: str | None, phase: str = "Running") -> dict:
    limits = {"nvidia.com/gpu": gpus} if gpus else {"cpu": "1"}
    return {
        "metadata": {"name": name, "labels": {"app": "test"}},
        "spec": {
            "containers": [{"resources": {"limits": limits}}, {}],
            **({"nodeName": on} if on else {}),
        },
        "status": {"phase": phase},
    }


def test_summary_shows_nodes_resources_and_workloads():
    deployment = {"metadata": {"name": "test"}, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
    pods = [
        pod("a", "gpu-1", "2"),
        pod("b", "gpu-1", "2"),
        pod("c", None, "2"),
        pod("d", "gpu-1", "1", "Succeeded"),
    ]
    jobs = [
        {"metadata": {"name": "sum"}, "spec": {"completions": 3}, "status": {"succeeded": 1}},
        {"metadata": {"name": "begun"}, "spec": {"completions": 1}, "status": {}},
        {"metadata": {"name": "somebody-elses"}, "spec": {"completions": 1}, "status": {}},
    ]
    nodes = [node("gpu-1", "6"), node("server-1", ready="Unknown")]
    found = {"nodes": nodes, "deployments": [deployment], "jobs": jobs, "pods": pods}
    assert cluster_summary.render(found, ["test", "sum", "begun"]).splitlines() == [
        "gpu-1: Ready, v1.36.2+k3s1",
        "  nvidia.com/gpu: 6 capacity, 6 allocatable, 4 allocated",
        "  nvidia.com/gpu.product: NVIDIA-H200-SHARED",
        "server-1: NotReady, v1.36.2+k3s1",
        "test: 2 of 2 Running",
        "sum: 1 of 3 Complete",
        "begun: 0 of 1 Complete",
    ]


def test_placements_are_pods_that_hold_slices():
    seats = cluster_summary.placements([pod("a", "gpu-1", "2"), pod("b", "gpu-1", None), pod("c", None, "2")])
    assert [(seat.pod, seat.workload, seat.node, seat.count) for seat in seats] == [("a", "test", "gpu-1", 2)]


def test_a_stack_file_with_foreign_secrets_is_refused(tmp_path: Path):
    stack_file = tmp_path / "Pulumi.lab.yaml"
    stack_file.write_text("config: {k3s-gpu-sharing:sshPrivateKey: {secure: abc}}")
    engine = Engine("lab", stack_file, tmp_path / "engine", Path("/nonexistent/pulumi"))
    with pytest.raises(EngineFailed, match=r"Pulumi\.lab\.yaml: k3s-gpu-sharing:sshPrivateKey"):
        engine.preview()


def test_a_lock_is_stale_when_its_process_is_gone(tmp_path: Path):
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"pid": os.getpid()}))
    assert is_held(lock)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock.write_text(json.dumps({"pid": ended.pid}))
    assert not is_held(lock)


def monitor(address: str) -> Any:
    """The SDK's connection to an engine."""
    program: Any = Settings("project", "stack", monitor=address)
    return program.monitor


def answer(monitor: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refused:
        monitor.SupportsFeature(resource_pb2.SupportsFeatureRequest(id="anything"))
    return refused.value.code()


def test_a_stale_connection_does_not_block_the_next_engine():
    use_own_grpc_connections()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    before = monitor(address)
    assert answer(before) == grpc.StatusCode.UNAVAILABLE
    server = grpc.server(futures.ThreadPoolExecutor(1))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(
        resource_pb2_grpc.ResourceMonitorServicer(), server
    )
    server.add_insecure_port(address)
    server.start()
    try:
        assert answer(monitor(address)) == grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.stop(None)


def test_leftovers_of_a_program_are_collected_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Left:
        def __init__(self) -> None:
            self.itself = self  # only the collector takes it away

    left = weakref.ref(Left())
    monkeypatch.setattr(Engine, "_stack", lambda *_: SimpleNamespace(refresh=lambda **_: seen.append(left())))
    seen: list[Left | None] = []
    with pytest.raises(AttributeError):  # of a run that has no summary
        Engine("dev", tmp_path / "Pulumi.dev.yaml", tmp_path, tmp_path / "pulumi").refresh()
    assert seen == [None]


def test_official_plugins_precede_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    official = tmp_path / "official"
    official.mkdir()
    (official / "pulumi-resource-command").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(official))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(providers, "download", lambda *arguments: None)
    origins = providers.install_plugins(tmp_path / "engine", Path("/nonexistent/pulumi"), Progress())
    (command,) = (tmp_path / "engine/plugins").glob("resource-command-v*/pulumi-resource-command")
    (kubernetes,) = (tmp_path / "engine/plugins").glob("resource-kubernetes-v*/pulumi-resource-kubernetes")
    assert origins == {
        "command": f"Pulumi's ({official / 'pulumi-resource-command'})",
        "kubernetes": "stand-in",
    }
    assert command.resolve() == official / "pulumi-resource-command"
    assert "stand-in" in kubernetes.read_text()


def test_the_policy_command_does_not_depend_on_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policies, "run", lambda *_, **__: None)
    policies.install(tmp_path)
    assert sys.prefix not in (tmp_path / "pulumi-analyzer-policy-python").read_text()


def test_both_simulators_have_the_same_cards():
    table = (golang.GO_FOLDER / "gpusim/internal/gpu/machine.go").read_text()
    row = re.compile(r'^\t"([^"]+)": +\{\d+, \d+, \d+, "(\w{4})", "(\w{4})"', re.MULTILINE)
    known = {product: (f"0x{device}", f"0x{kind}00") for product, device, kind in row.findall(table)}
    assert known == gpus.PCI


def test_declared_cards_are_on_the_pci_bus(tmp_path: Path):
    for product, device, kind in (("Tesla-T4", "0x1eb8", "0x030200"), ("Voodoo-2", "0xffff", "0x030200")):
        gpus.write_device(tmp_path / product, gpus.Gpus(product, 1, 1))
        assert (tmp_path / product / "device").read_text() == f"{device}\n"
        assert (tmp_path / product / "class").read_text() == f"{kind}\n"


def test_the_declared_driver_version_is_shown(tmp_path: Path):
    for declared, version, cuda in (
        (None, gpus.DRIVER, "13.0"),
        ("580", gpus.DRIVER, "13.0"),
        ("535.183.01", "535.183.01", "12.2"),
        ("570", "570.0", "12.8"),
    ):
        assert (gpus.complete_driver_version(declared), gpus.cuda(version)) == (version, cuda)
    for name in gpus.SYSFS:
        (tmp_path / name).mkdir()
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    for driver, shown in (("535.183.01", ["535.183.01\n"]), (None, [])):
        gpus.install(gpus.Gpus("Tesla-T4", 1, 15360, driver), "m", tmp_path, tmp_path)
        assert [one.read_text() for one in tmp_path.glob("module/nvidia/version")] == shown


def test_a_machine_gets_and_loses_a_drivers_files(tmp_path: Path):
    root, sysfs, standin = tmp_path / "root", tmp_path / "sysfs", tmp_path / "standin"
    for folder in (root / "usr/bin", sysfs, standin / "nvml"):
        folder.mkdir(parents=True)
    (standin / "nvml/libnvidia-ml.so.1").write_bytes(b"ELF")
    cards = gpus.Gpus("NVIDIA-A100-SXM4-40GB", 2, 40960, mig={"1g.5gb": 1, "1g.10gb": 1})
    driver_files.install(cards, "m", root, sysfs, standin)
    library = root / driver_files.LIBRARIES / "libnvidia-ml.so.1"
    assert library.readlink().name == f"libnvidia-ml.so.{gpus.DRIVER}"
    facts = library.read_bytes().removeprefix(b"ELF").decode().splitlines()
    # NVML's numbers of the profiles, and a partition's memory as the driver reports it
    assert [line for line in facts if line.startswith("partition=")] == [
        "partition=0 1 4864 14 1 0 0 0 0",
        "partition=9 1 9728 14 1 0 0 0 0",
    ]
    assert [line.count("MIG-") for line in facts if line.startswith("card=")] == [2, 2]
    assert {path.name for path in (sysfs / "dev").iterdir()} >= {"nvidia0", "nvidia1", "nvidiactl"}
    driver_files.install(None, "m", root, sysfs, standin)
    assert not library.is_symlink() and not (sysfs / "dev").exists()


def test_nvidia_smi_needs_no_other_file(tmp_path: Path):
    cards = gpus.Gpus("NVIDIA-A100-SXM4-40GB", 1, 40960, mig={"3g.20gb": 2})
    gpus.write_command(tmp_path / "nvidia-smi", gpus.render_files(cards, "m")[1])
    listed = subprocess.run(
        [tmp_path / "nvidia-smi", "-L"], capture_output=True, text=True, check=True
    ).stdout
    uuids = [cards.cards("m")[0][1], *cards.partition_uuids("m", 0)]
    assert re.findall(r"UUID: (.*)\)", listed) == uuids


def test_mps_control_answers_while_it_is_started(tmp_path: Path):
    folders = {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path), "CUDA_MPS_LOG_DIRECTORY": str(tmp_path)}

    def control(said: str, *options: str) -> tuple[int, str]:
        command = [driver_files.MACHINE_FILES / driver_files.MPS_CONTROL, *options]
        done = subprocess.run(command, input=said, env=folders, capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout

    question = "get_default_active_thread_percentage"  # NVIDIA's daemon ends it without a line feed
    assert control(question) == (1, "")
    assert control("", "-d") == (0, "")
    assert control(question) == (0, "100.0\n")
    assert control("quit") == (0, "")
    assert control(question) == (1, "")
