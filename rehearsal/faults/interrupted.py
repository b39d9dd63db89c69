"""Faults that interrupt a run: the engine killed, a machine rebooted, the connection lost."""

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
from rehearsal.faults.fault import fault, problem
from rehearsal.lab.fixture import wait_until
from rehearsal.lab.ssh import boot_id

AREA = "interrupted"
UP_AGAIN = problem("cluster-agent-gpu-1", "there was no connection to its host, or it broke", "up again")
CONNECTION_LOST = r"connection lost|without exit status"


def wait_for_agent(context: FaultContext) -> None:
    """Waits until the agent is Ready: its script continues after the connection is lost."""
    ready = f"k3s kubectl wait --for condition=Ready --timeout 1s node/{AGENT} 2>/dev/null || :"
    wait_until("the agent to become ready by itself", lambda: context.run_on(SERVER, ready))


@fault(
    AREA,
    "first up",
    UP_AGAIN,
    r"dial tcp 10\.77\.0\.212:22: connect: connection refused",
    max_seconds=120,
    remedy="sshd is started",
)
def cut_before_a_script(context: FaultContext) -> Iterator[None]:
    """a machine's sshd stops after the preflight and before its script is sent"""
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
    UP_AGAIN,
    CONNECTION_LOST,
    max_seconds=120,
    remedy="the script on the machine finishes by itself, and the next `up` finds it done",
)
def cut_in_a_script(context: FaultContext) -> Iterator[None]:
    """the connection breaks while a machine joins"""
    context.during_operation(
        "the agent's configuration",
        context.file_exists(AGENT, K3S_CONFIG),
        lambda: context.run_on(AGENT, inject.CUT_LOGINS),
    )
    yield
    wait_for_agent(context)


@fault(
    AREA,
    "first up",
    UP_AGAIN,
    CONNECTION_LOST,
    max_seconds=120,
    remedy="the next `up` finds the work done",
)
def cut_after_a_script(context: FaultContext) -> Iterator[None]:
    """the connection breaks after a machine has joined and before its script returns"""
    # The script's last command removes the file with its output.
    cut = f'case "$*" in *k3s-gpu-sharing/converge.*) {inject.CUT_LOGINS} ;; esac'
    with inject.wrapped(context[AGENT], "rm", f'{cut}\nexec /usr/bin/rm "$@"'):
        yield
    wait_for_agent(context)


@fault(
    AREA,
    "first up",
    UP_AGAIN,
    CONNECTION_LOST,
    max_seconds=120,
    remedy="the machine is up again",
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
    remedy="the next `up` continues from there",
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
    remedy="the next `up` continues from there",
    fails=False,
)
def killed_in_an_upgrade(context: FaultContext) -> Iterator[None]:
    """the engine is killed when the server has the next release and the agent does not"""
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
    remedy="the next `destroy` continues from there",
    fails=False,
)
def killed_in_a_destroy(context: FaultContext) -> Iterator[None]:
    """the engine is killed while machines are cleaned"""
    context.kill_run_when(
        "the agent to be cleaned", lambda: not inject.exists(context[AGENT], K3S_CONFIG), "destroy"
    )
    yield
