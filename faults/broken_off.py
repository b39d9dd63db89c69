"""Runs that are broken off: the engine killed, the power cut, the connection lost, at several points."""

from collections.abc import Iterator

from faults import inject
from faults.fault import AGENT, KILLED_SAYS, Life, fault

AREA = "broken off"
CONFIGURED = "/etc/rancher/k3s/config.yaml"
START = "systemctl show --property InvocationID --value k3s"
READY = "/usr/local/bin/k3s kubectl get --raw /readyz >/dev/null 2>&1 && echo ready || :"


@fault(
    AREA,
    "destroy",
    KILLED_SAYS,
    within=120,
    healed="the next `destroy` goes on from there",
    refused=False,
)
def killed_in_a_destroy(life: Life) -> Iterator[None]:
    """the engine is killed while machines are cleaned"""
    life.killed("the agent to be cleaned", lambda: not inject.exists(life[AGENT], CONFIGURED), "destroy")
    yield
