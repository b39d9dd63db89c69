"""Runs NVIDIA's device plugin and feature discovery on simulated cards, without a machine or a cluster.

Both find the cards through the stand-in for NVML. What else they read of a machine lies in a mount namespace
of their own: PCI devices, the numbers of MIG partitions, and the folder of a kubelet's sockets.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from rehearsal.lab import driver_files
from rehearsal.lab.gpus import Gpus, write_device

MACHINE = "gpu-1"
DISCOVERY_SECONDS = 30
REGISTRATION_SECONDS = 30
SETTLE_SECONDS = 1.0  # a plugin with several resources registers one after the other
SERVICE = "v1beta1"  # of k8s.io/kubelet/pkg/apis/deviceplugin
# FOLDER PROGRAM ARGUMENT...: shows what lies in FOLDER in place of this computer's own. The program's user is
# not root, who has few inotify instances (fs.inotify.max_user_instances) for the programs of all machines.
IN_MACHINE = """
mount -t tmpfs none /sys/bus && mkdir -p /sys/bus/pci/devices && mount --bind "$0/pci" /sys/bus/pci/devices &&
mount -t tmpfs none /proc/driver && cp -r "$0/driver/." /proc/driver &&
mount -t tmpfs none /var/lib && mkdir -p /var/lib/kubelet/device-plugins &&
if [ -e "$0/sockets" ]; then mount --bind "$0/sockets" /var/lib/kubelet/device-plugins; fi &&
exec setpriv --reuid 65534 --inh-caps=+dac_override --ambient-caps=+dac_override "$@"
"""


@dataclass(frozen=True)
class SimulatedMachine:
    """A folder with what a machine with simulated cards has, for the programs in `programs`."""

    folder: Path
    programs: Path

    def labels(self, config: str) -> dict[str, str]:
        """The labels that feature discovery gives the node for a sharing file."""
        (self.folder / "config.yaml").write_text(config)
        output = self.folder / "labels"
        output.unlink(missing_ok=True)
        command = ["--oneshot", "--no-timestamp", "--use-node-feature-api=false", f"--output-file={output}"]
        done = subprocess.run(
            self._command("gpu-feature-discovery", *command),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=DISCOVERY_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    def resources(self, config: str) -> dict[str, int]:
        """The resources that the device plugin registers for a sharing file, with the number of devices."""
        (self.folder / "config.yaml").write_text(config)
        log = self.folder / "plugin.log"
        # The path of a socket has at most 107 characters.
        with TemporaryDirectory() as short, registrations(Path(short)) as registered, log.open("w") as output:
            link = self.folder / "sockets"
            link.unlink(missing_ok=True)
            link.symlink_to(short)
            plugin = subprocess.Popen(
                self._command("nvidia-device-plugin"), env=self._environment(), stdout=output, stderr=output
            )
            try:
                assert registered.first.wait(REGISTRATION_SECONDS), log.read_text()
                registered.wait_until_settled()
                return {name: registered.devices(name) for name in registered.endpoints}
            finally:
                plugin.terminate()
                plugin.wait(REGISTRATION_SECONDS)

    def _command(self, program: str, *arguments: str) -> list[str]:
        words = ["unshare", "--mount", "sh", "-c", IN_MACHINE, str(self.folder), str(self.programs / program)]
        return [*words, f"--config-file={self.folder / 'config.yaml'}", *arguments]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": str(self.folder / driver_files.LIBRARIES),
        }


def simulated_machine(folder: Path, gpus: Gpus, programs: Path, library: bytes) -> SimulatedMachine:
    """Fills `folder` with the library, the PCI devices and the MIG partitions of `gpus`."""
    driver_files.write_library(library, gpus, MACHINE, folder)
    for name in ("pci", "driver/nvidia-caps"):
        (folder / name).mkdir(parents=True)
    minors = []
    for card, (address, _) in enumerate(gpus.cards(MACHINE)):
        write_device(folder / "pci" / address, gpus)
        for instance in range(1, sum(gpus.mig.values()) + 1):
            minors += [f"gpu{card}/gi{instance}/access", f"gpu{card}/gi{instance}/ci0/access"]
    lines = "".join(f"{path} {number}\n" for number, path in enumerate(minors, start=3))
    (folder / "driver/nvidia-caps/mig-minors").write_text(lines)
    return SimulatedMachine(folder, programs)


class Registrations:
    """A kubelet reduced to the registration of device plugins."""

    def __init__(self, sockets: Path) -> None:
        self.sockets = sockets
        self.endpoints: dict[str, str] = {}
        self.first = threading.Event()
        self._again = threading.Event()

    def register(self, request: Any, _: grpc.ServicerContext) -> Any:
        """Notes where a resource is served."""
        self.endpoints[request.resource_name] = request.endpoint
        self.first.set()
        self._again.set()
        return MESSAGES["Empty"]()

    def wait_until_settled(self) -> None:
        """Waits until no further resource has been registered for a while."""
        while self._again.is_set():
            self._again.clear()
            self._again.wait(SETTLE_SECONDS)

    def devices(self, resource: str) -> int:
        """The number of healthy devices that a resource's plugin lists."""
        with grpc.insecure_channel(f"unix:{self.sockets / self.endpoints[resource]}") as channel:
            watch = channel.unary_stream(
                f"/{SERVICE}.DevicePlugin/ListAndWatch",
                request_serializer=MESSAGES["Empty"].SerializeToString,
                response_deserializer=MESSAGES["ListAndWatchResponse"].FromString,
            )
            answer = next(iter(watch(MESSAGES["Empty"](), timeout=REGISTRATION_SECONDS)))
            return sum(device.health == "Healthy" for device in answer.devices)


@contextmanager
def registrations(sockets: Path) -> Iterator[Registrations]:
    """Serves registration in the folder `sockets` within the block."""
    registered = Registrations(sockets)
    handler = grpc.unary_unary_rpc_method_handler(
        registered.register,
        request_deserializer=MESSAGES["RegisterRequest"].FromString,
        response_serializer=MESSAGES["Empty"].SerializeToString,
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    methods = {"Register": handler}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(f"{SERVICE}.Registration", methods),)
    )
    server.add_insecure_port(f"unix:{sockets / 'kubelet.sock'}")
    server.start()
    try:
        yield registered
    finally:
        server.stop(None)


def messages() -> dict[str, Any]:
    """The messages of the device plugin API that are needed here, with the fields that are read."""
    file = descriptor_pb2.FileDescriptorProto(name="deviceplugin.proto", package=SERVICE, syntax="proto3")
    text, many, one = 9, 3, 1  # FieldDescriptorProto: TYPE_STRING, LABEL_REPEATED, LABEL_OPTIONAL
    fields = {
        "Empty": [],
        "RegisterRequest": [("version", 1), ("endpoint", 2), ("resource_name", 3)],
        "Device": [("ID", 1), ("health", 2)],
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for field, number in members:
            message.field.add(name=field, number=number, type=text, label=one)
    answer = file.message_type.add(name="ListAndWatchResponse")
    answer.field.add(name="devices", number=1, type=11, type_name=f".{SERVICE}.Device", label=many)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = [*fields, "ListAndWatchResponse"]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{SERVICE}.{name}"))
        for name in names
    }


MESSAGES = messages()
