"""k3s on a machine: its download, its unit, its way into the cluster."""

from collections.abc import Iterator

from faults import inject
from faults.fault import SERVER, Life, fault

AREA = "install"


@fault(
    AREA,
    "first up",
    r"server-1: the k3s binary of v1\.36\.2\+k3s1 has sha256 [0-9a-f]{64}, expected 0{63}1",
    r"the pin in the stack file belongs to another version",
    within=90,
    healed="the stack file gets the right checksum",
)
def checksum_wrong(life: Life) -> Iterator[None]:
    """the binary is not the one that the stack file pins"""
    life.config["k3s"]["binarySha256"] = {"amd64": f"{'0' * 63}1"}
    yield
    assert not inject.exists(life[SERVER], "/usr/local/bin/k3s"), "it was installed all the same"
    del life.config["k3s"]["binarySha256"]
