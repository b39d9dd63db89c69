"""No slice, no card: a pod that requests nothing and asks NVIDIA's runtime for all cards sees none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rehearsal.proof.proof_cluster import ProofCluster, expect
from rehearsal.proof.steps.article import See

INTRUDER, SHARER = "without-a-slice", "with-a-slice"
ALL_CARDS = {"NVIDIA_VISIBLE_DEVICES": "all"}
SET_OPTIONS = "nvidia-ctk config --in-place --config /etc/nvidia-container-runtime/config.toml"
ENVVAR = "accept-nvidia-visible-devices-envvar-when-unprivileged"
VOLUME_MOUNTS = "accept-nvidia-visible-devices-as-volume-mounts"


@dataclass(frozen=True)
class Door:
    """Options of the container toolkit on the machines, and what the two pods then see."""

    name: str
    by_variable: bool
    """Whether the toolkit takes the variable from any pod (its default)."""
    intruder_sees: bool
    sharer_sees: bool
    by_volume_mounts: bool = False

    @property
    def command(self) -> str:
        """What sets the options on a machine. The toolkit reads them at the start of each container."""
        options = {ENVVAR: self.by_variable, VOLUME_MOUNTS: self.by_volume_mounts}
        return " ".join([SET_OPTIONS, *(f"--set {name}={str(on).lower()}" for name, on in options.items())])


OPEN_CDI = Door("open (the toolkit's default), devices by CDI", True, True, True)
CLOSED_CDI = Door("closed, devices by CDI", False, False, True)
OPEN_VARIABLE = Door("open, devices by variable", True, True, True)
CLOSED_VARIABLE = Door("closed, devices by variable", False, False, False)
CLOSED_VOLUMES = Door("closed, devices by volume mounts", False, False, True, by_volume_mounts=True)
NO_CDI: dict[str, Any] = {"cdi": {"enabled": False}}
BY_VOLUMES = {**NO_CDI, "devicePlugin": {"env": [{"name": "DEVICE_LIST_STRATEGY", "value": "volume-mounts"}]}}


def with_cdi(proof: ProofCluster, see: See) -> None:
    """The operator's default: containerd gives devices to pods with slices. Closing the toolkit's door shuts
    the others out.
    """
    try_doors(proof, see, OPEN_CDI, CLOSED_CDI)


def with_variable(proof: ProofCluster, see: See) -> None:
    """Without CDI the plugin names devices by variable: closing the door alone breaks pods with slices."""
    change_operator(proof, see, NO_CDI, OPEN_VARIABLE)
    try_doors(proof, see, OPEN_VARIABLE, CLOSED_VARIABLE)


def with_volume_mounts(proof: ProofCluster, see: See) -> None:
    """Without CDI, devices named by volume mounts: the door is closed, and pods with slices compute."""
    change_operator(proof, see, BY_VOLUMES, CLOSED_VOLUMES)
    try_doors(proof, see, CLOSED_VOLUMES)


def back_to_cdi(proof: ProofCluster, see: See) -> None:
    """The operator's default again, with the door closed."""
    change_operator(proof, see, {}, CLOSED_CDI)
    try_doors(proof, see, CLOSED_CDI)


def change_operator(proof: ProofCluster, see: See, values: dict[str, Any], door: Door) -> None:
    """Installs the operator's chart with other values, for which the toolkit has its options before."""
    proof.run_everywhere(door.command)
    proof.config["gpuOperator"]["values"] = values
    see(f"pulumi up with values {values}: {proof.up()}")


def try_doors(proof: ProofCluster, see: See, *doors: Door) -> None:
    """Sets the toolkit's options on all machines, and compares what pods see with what they should."""
    for door in doors:
        proof.run_everywhere(door.command)
        proof.create(proof.pod_manifest(INTRUDER, env=ALL_CARDS))
        proof.create(proof.pod_manifest(SHARER, slices=1))
        try:
            intruder, sharer = proof.wait_for_end(INTRUDER), proof.wait_for_end(SHARER)
        finally:
            proof.delete("pod", INTRUDER, SHARER, "--ignore-not-found")
        see(f"door {door.name}: without a slice: {intruder.verdict}")
        see(f"door {door.name}: with a slice: {sharer.verdict}")
        expect(f"door {door.name}: the pod without a slice computes", intruder.passed, door.intruder_sees)
        expect(f"door {door.name}: the pod with a slice computes", sharer.passed, door.sharer_sees)
