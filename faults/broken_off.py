"""Runs that are broken off: the engine killed, the power cut, the connection lost, at several points."""

from collections.abc import Iterator

from faults import inject
from faults.fault import AGENT, CONFIGURED, KILLED_SAYS, SERVER, Life, fault

AREA = "broken off"
AGAIN = r"cluster-agent-gpu-1: there was no connection to its machine, or it broke\n\s*do: +up again"
LOST = r"connection lost|without exit status"


@fault(
    AREA,
    "first up",
    AGAIN,
    r"dial tcp 10\.77\.0\.212:22: connect: connection refused",
    within=120,
    healed="sshd is started",
)
def cut_before_a_script(life: Life) -> Iterator[None]:
    """a machine's sshd ends after the look at all machines and before its script is sent"""
    life.meanwhile(
        "the server's configuration",
        life.there(SERVER, CONFIGURED),
        lambda: life.on(AGENT, "systemctl stop ssh"),
    )
    yield
    life.on(AGENT, "systemctl start ssh")


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
