"""Runs that are broken off: the engine killed, the power cut, the connection lost, at several points."""

from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import (
    AGENT,
    K3S_CONFIG,
    SERVER,
    STALE_LOCK_MESSAGE,
    FaultContext,
    none_on_error,
)
from rehearsal.faults.fault import fault
from rehearsal.lab.fixture import wait_until
from rehearsal.lab.machines import boot_id

AREA = "broken off"
AGAIN = r"cluster-agent-gpu-1\n\s*found: +there was no connection to its host(.*\n)+?\s*remedy: +up again"
LOST = r"connection lost|without exit status"


def ready_by_itself(context: FaultContext) -> None:
    """The machine finishes what it had begun, deaf to the hang-up."""
    ready = f"k3s kubectl wait --for condition=Ready --timeout 1s node/{AGENT} 2>/dev/null || :"
    wait_until("the agent to become ready by itself", lambda: context.run_on(SERVER, ready))


@fault(
    AREA,
    "first up",
    AGAIN,
    r"dial tcp 10\.77\.0\.212:22: connect: connection refused",
    max_seconds=120,
    remedy="sshd is started",
)
def cut_before_a_script(context: FaultContext) -> Iterator[None]:
    """a machine's sshd ends after the look at all machines and before its script is sent"""
    context.during_operation(
        "the server's configuration",
        context.file_exists(SERVER, K3S_CONFIG),
        lambda: context.run_on(AGENT, "systemctl stop ssh"),
    )
    yield
    context.run_on(AGENT, "systemctl start ssh")


@fault(
    AREA,
    "first up",
    AGAIN,
    LOST,
    max_seconds=120,
    remedy="the machine finishes its work by itself, and the next `up` finds it done",
)
def cut_in_a_script(context: FaultContext) -> Iterator[None]:
    """the connection breaks while a machine joins"""
    context.during_operation(
        "the agent's configuration",
        context.file_exists(AGENT, K3S_CONFIG),
        lambda: context.run_on(AGENT, inject.CUT_LOGINS),
    )
    yield
    ready_by_itself(context)


@fault(
    AREA,
    "first up",
    AGAIN,
    LOST,
    max_seconds=120,
    remedy="the next `up` finds the work done",
)
def cut_after_a_script(context: FaultContext) -> Iterator[None]:
    """the connection breaks when a machine has joined, and before it can say so"""
    # The script's last deed takes its words' file away.
    cut = f'case "$*" in *k3s-gpu-sharing/converge.*) {inject.CUT_LOGINS} ;; esac'
    with inject.wrapped(context[AGENT], "rm", f'{cut}\nexec /usr/bin/rm "$@"'):
        yield
    ready_by_itself(context)


@fault(
    AREA,
    "first up",
    AGAIN,
    LOST,
    max_seconds=120,
    remedy="the machine is there again",
)
def rebooted_in_a_script(context: FaultContext) -> Iterator[None]:
    """a machine reboots while it joins"""
    before = boot_id(context[AGENT])
    context.during_operation(
        "the agent's configuration",
        context.file_exists(AGENT, K3S_CONFIG),
        lambda: context.run_on(AGENT, "systemctl reboot --no-block"),
    )
    yield
    wait_until("the machine to be back", lambda: none_on_error(lambda: boot_id(context[AGENT]) != before))


@fault(
    AREA,
    "first up",
    STALE_LOCK_MESSAGE,
    max_seconds=120,
    remedy="the next `up` goes on from there",
    fails=False,
)
def killed_twice(context: FaultContext) -> Iterator[None]:
    """the engine is killed while the server is installed, and the next one while the agent is"""
    for host in (SERVER, AGENT):
        context.kill_run_when(f"{host}'s configuration", context.file_exists(host, K3S_CONFIG))
    yield


@fault(
    AREA,
    "upgrade",
    STALE_LOCK_MESSAGE,
    max_seconds=150,
    remedy="the next `up` goes on from there",
    fails=False,
)
def killed_in_an_upgrade(context: FaultContext) -> Iterator[None]:
    """the engine is killed when the server has the next release and the agent has not"""
    wanted = context.config["k3s"]["version"]
    context.kill_run_when(
        f"{wanted} on the server", lambda: wanted in context.run_on(SERVER, "k3s --version")
    )
    yield


@fault(
    AREA,
    "destroy",
    STALE_LOCK_MESSAGE,
    max_seconds=120,
    remedy="the next `destroy` goes on from there",
    fails=False,
)
def killed_in_a_destroy(context: FaultContext) -> Iterator[None]:
    """the engine is killed while machines are cleaned"""
    context.kill_run_when(
        "the agent to be cleaned", lambda: not inject.exists(context[AGENT], K3S_CONFIG), "destroy"
    )
    yield
