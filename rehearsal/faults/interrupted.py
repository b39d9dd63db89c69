"""Runs that are broken off: the engine killed, the power cut, the connection lost, at several points."""

from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.fault import AGENT, CONFIGURED, KILLED_SAYS, SERVER, Life, fault, quietly
from rehearsal.lab.fixture import eventually
from rehearsal.lab.machines import boot_id

AREA = "broken off"
AGAIN = r"cluster-agent-gpu-1\n\s*found: +there was no connection to its host(.*\n)+?\s*remedy: +up again"
LOST = r"connection lost|without exit status"


def ready_by_itself(life: Life) -> None:
    """The machine finishes what it had begun, deaf to the hang-up."""
    ready = f"k3s kubectl wait --for condition=Ready --timeout 1s node/{AGENT} 2>/dev/null || :"
    eventually("the agent to become ready by itself", lambda: life.on(SERVER, ready))


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
    "first up",
    AGAIN,
    LOST,
    within=120,
    healed="the machine finishes its work by itself, and the next `up` finds it done",
)
def cut_in_a_script(life: Life) -> Iterator[None]:
    """the connection breaks while a machine joins"""
    life.meanwhile(
        "the agent's configuration",
        life.there(AGENT, CONFIGURED),
        lambda: life.on(AGENT, inject.CUT_LOGINS),
    )
    yield
    ready_by_itself(life)


@fault(
    AREA,
    "first up",
    AGAIN,
    LOST,
    within=120,
    healed="the next `up` finds the work done",
)
def cut_after_a_script(life: Life) -> Iterator[None]:
    """the connection breaks when a machine has joined, and before it can say so"""
    # The script's last deed takes its words' file away.
    cut = f'case "$*" in *k3s-gpu-sharing/converge.*) {inject.CUT_LOGINS} ;; esac'
    with inject.wrapped(life[AGENT], "rm", f'{cut}\nexec /usr/bin/rm "$@"'):
        yield
    ready_by_itself(life)


@fault(
    AREA,
    "first up",
    AGAIN,
    LOST,
    within=120,
    healed="the machine is there again",
)
def rebooted_in_a_script(life: Life) -> Iterator[None]:
    """a machine reboots while it joins"""
    before = boot_id(life[AGENT])
    life.meanwhile(
        "the agent's configuration",
        life.there(AGENT, CONFIGURED),
        lambda: life.on(AGENT, "systemctl reboot --no-block"),
    )
    yield
    eventually("the machine to be back", lambda: quietly(lambda: boot_id(life[AGENT]) != before))


@fault(
    AREA,
    "first up",
    KILLED_SAYS,
    within=120,
    healed="the next `up` goes on from there",
    refused=False,
)
def killed_twice(life: Life) -> Iterator[None]:
    """the engine is killed while the server is installed, and the next one while the agent is"""
    for host in (SERVER, AGENT):
        life.killed(f"{host}'s configuration", life.there(host, CONFIGURED))
    yield


@fault(
    AREA,
    "upgrade",
    KILLED_SAYS,
    within=150,
    healed="the next `up` goes on from there",
    refused=False,
)
def killed_in_an_upgrade(life: Life) -> Iterator[None]:
    """the engine is killed when the server has the next release and the agent has not"""
    wanted = life.config["k3s"]["version"]
    life.killed(f"{wanted} on the server", lambda: wanted in life.on(SERVER, "k3s --version"))
    yield


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
