"""No slice, no card: a pod that requests nothing and asks NVIDIA's runtime for all cards sees none.

The product says which options of the toolkit let such a pod in (k3sgpu.card_access); these steps compare that
with what pods see on a card.
"""

from __future__ import annotations

from typing import Any

from k3sgpu.card_access import (
    ENVVAR_OPTION,
    MOUNTS,
    MOUNTS_OPTION,
    STRATEGY_VARIABLE,
    CardAccess,
    strategies,
)
from rehearsal.proof.proof_cluster import ProofCluster, expect
from rehearsal.proof.walk import See

INTRUDER, SHARER = "without-a-slice", "with-a-slice"
ALL_CARDS = {"NVIDIA_VISIBLE_DEVICES": "all"}
SET_OPTIONS = "nvidia-ctk config --in-place --config /etc/nvidia-container-runtime/config.toml"
NO_CDI: dict[str, Any] = {"cdi": {"enabled": False}}
BY_VOLUMES = {**NO_CDI, "devicePlugin": {"env": [{"name": STRATEGY_VARIABLE, "value": MOUNTS}]}}
CHECK = "card-access"


def with_cdi(proof: ProofCluster, see: See) -> None:
    """The operator's default: containerd gives devices to pods with slices. Closing the toolkit's door shuts
    the others out.
    """
    try_door(proof, see, is_open=True)
    try_door(proof, see, is_open=False)


def with_variable(proof: ProofCluster, see: See) -> None:
    """Without CDI the plugin names devices by variable: closing the door alone breaks pods with slices."""
    change_operator(proof, see, NO_CDI, is_open=True)
    try_door(proof, see, is_open=True)
    try_door(proof, see, is_open=False)


def with_volume_mounts(proof: ProofCluster, see: See) -> None:
    """Without CDI, devices named by volume mounts: the door is closed, and pods with slices compute."""
    change_operator(proof, see, BY_VOLUMES, is_open=False)
    try_door(proof, see, is_open=False)


def back_to_cdi(proof: ProofCluster, see: See) -> None:
    """The operator's default again, with the door closed."""
    change_operator(proof, see, {}, is_open=False)
    try_door(proof, see, is_open=False)


def change_operator(proof: ProofCluster, see: See, values: dict[str, Any], *, is_open: bool) -> None:
    """Installs the operator's chart with other values, for which the toolkit has its options before."""
    proof.config["gpuOperator"]["values"] = values
    proof.run_everywhere(set_options(access(proof, is_open)))
    see(f"pulumi up with values {values}: {proof.up()}")


def access(proof: ProofCluster, is_open: bool) -> CardAccess:
    """How pods get at cards, as the product says, with the operator's present values."""
    operator = proof.config["gpuOperator"]
    here = strategies(operator["version"], operator.get("values", {}))
    return CardAccess(here, envvar=is_open, mounts=MOUNTS in here)


def set_options(door: CardAccess) -> str:
    """What sets the toolkit's options on a machine. The toolkit reads them at the start of each container."""
    options = {ENVVAR_OPTION: door.envvar, MOUNTS_OPTION: door.mounts}
    return " ".join([SET_OPTIONS, *(f"--set {name}={str(on).lower()}" for name, on in options.items())])


def try_door(proof: ProofCluster, see: See, *, is_open: bool) -> None:
    """Sets the toolkit's options on all machines, and compares what doctor says and pods see with the
    product's words.
    """
    door = access(proof, is_open)
    name = f"{'open' if is_open else 'closed'}, {', '.join(sorted(door.strategies))}"
    proof.run_everywhere(set_options(door))
    reported = CHECK in proof.doctor("hosts")
    see(f"{name}: doctor {'reports' if reported else 'does not report'} {CHECK}")
    expect(f"{name}: doctor reports {CHECK}", reported, door.without_slice or not door.with_slice)
    proof.create(proof.pod_manifest(INTRUDER, env=ALL_CARDS))
    proof.create(proof.pod_manifest(SHARER, slices=1))
    try:
        intruder, sharer = proof.wait_for_end(INTRUDER), proof.wait_for_end(SHARER)
    finally:
        proof.delete("pod", INTRUDER, SHARER, "--ignore-not-found")
    see(f"{name}: without a slice: {intruder.verdict}")
    see(f"{name}: with a slice: {sharer.verdict}")
    expect(f"{name}: the pod without a slice computes", intruder.passed, door.without_slice)
    expect(f"{name}: the pod with a slice computes", sharer.passed, door.with_slice)
