"""Faults of installing k3s: its download, its start, its upgrade, its join."""

from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import AGENT, K3S_CONFIG, SERVER, FaultContext
from rehearsal.faults.fault import fault, host_problem
from rehearsal.lab.nspawn import power_cut

AREA = "install"
SECOND, SECOND_ADDRESS = "gpu-2", "10.77.0.215"
MISSING_MIRROR = "https://10.77.0.219/release"


def use_missing_mirror(context: FaultContext) -> None:
    """Takes k3s from a mirror that does not exist."""
    context.config["k3s"] |= {"mirror": MISSING_MIRROR, "installScriptUrl": f"{MISSING_MIRROR}/install.sh"}
    context.config["k3s"]["installScriptSha256"] = "0" * 64


def use_local_files(context: FaultContext) -> None:
    """Takes k3s from the machines' own files again."""
    context.config["k3s"]["mirror"] = "file:///opt/standin/release"
    del context.config["k3s"]["installScriptUrl"], context.config["k3s"]["installScriptSha256"]


@fault(
    AREA,
    "first up",
    r"server-1: the k3s binary of v1\.36\.2\+k3s1 has sha256 [0-9a-f]{64}, expected 0{63}1",
    r"the pin in the stack file belongs to another version",
    max_seconds=90,
    remedy="the checksum in the stack file is corrected",
)
def checksum_wrong(context: FaultContext) -> Iterator[None]:
    """the binary has another checksum than the stack file pins"""
    context.config["k3s"]["binarySha256"] = {"amd64": f"{'0' * 63}1"}
    yield
    assert not inject.exists(context[SERVER], "/usr/local/bin/k3s"), "it was installed nevertheless"
    del context.config["k3s"]["binarySha256"]


@fault(
    AREA,
    "first up",
    host_problem("gpu-1", "download", r"https://10\.77\.0\.219/release/\S+ cannot be reached: "),
    r"mirror: https://\.\.\.\}, or \{airGap: FOLDER\}",
    max_seconds=90,
    remedy="the stack file gets a mirror that exists",
)
def mirror_down(context: FaultContext) -> Iterator[None]:
    """the mirror for k3s does not answer"""
    use_missing_mirror(context)
    yield
    use_local_files(context)


@fault(
    AREA,
    "first up",
    r"server-1: could not download https://10\.77\.0\.219/release/v1\.36\.2%2Bk3s1/k3s",
    r"check that this machine reaches it, or set k3s\.mirror or k3s\.proxy",
    max_seconds=90,
    remedy="the stack file gets a mirror that works",
)
def download_cut(context: FaultContext) -> Iterator[None]:
    """the download of k3s breaks off"""
    use_missing_mirror(context)
    curl = (
        'case "$*" in *http_code*) echo 200; exit ;; esac\n'
        'echo "curl: (18) end of response with 61341696 bytes missing" >&2; exit 18'
    )
    with inject.wrapped(context[SERVER], "curl", curl), inject.wrapped(context[AGENT], "curl", curl):
        yield
    for host in (SERVER, AGENT):
        assert not inject.exists(context[host], "/usr/local/bin/k3s"), (
            f"it was installed on {host} nevertheless"
        )
    use_local_files(context)


@fault(
    AREA,
    "first up",
    host_problem("gpu-1", "owner", r"k3s v1\.30\.0\+k3s1 that this program did not install"),
    r"k3s-uninstall\.sh",
    max_seconds=60,
    remedy="a destroy does not touch it; its owner removes it",
)
def somebody_elses_k3s(context: FaultContext) -> Iterator[None]:
    """a machine has a k3s that this program did not install"""
    theirs = "#!/bin/sh\necho k3s version v1.30.0+k3s1\n"
    inject.put(context[AGENT], "/usr/local/bin/k3s", theirs, "755")
    yield
    context.cluster.destroy()
    assert inject.exists(context[AGENT], "/usr/local/bin/k3s"), "it was removed"
    context.run_on(AGENT, "rm /usr/local/bin/k3s")


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: unit k3s-agent is activating",
    r"journalctl -u k3s-agent",
    max_seconds=120,
    remedy="what stopped it is removed",
)
def crash_loop(context: FaultContext) -> Iterator[None]:
    """k3s exits immediately after every start"""
    with context.replaced_command(AGENT, "k3s-agent", "/bin/false"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: unit k3s-agent is activating",
    r"journalctl -u k3s-agent",
    max_seconds=120,
    remedy="what blocked it is removed",
)
def hangs_at_start(context: FaultContext) -> Iterator[None]:
    """k3s starts and never reports that it is ready"""
    with context.replaced_command(AGENT, "k3s-agent", "/bin/sleep infinity"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: (unit k3s-agent|node gpu-1) is",
    r"journalctl -u k3s-agent",
    max_seconds=120,
    remedy="what stopped it is removed",
)
def dies_after_start(context: FaultContext) -> Iterator[None]:
    """k3s reports that it is ready and exits a moment later, after every start"""
    with context.replaced_command(AGENT, "k3s-agent", "/bin/sh -c 'systemd-notify --ready; sleep 1; exit 1'"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s",
    r"port 6443 of the server is not reachable from here: look at firewalls",
    max_seconds=150,
    remedy="the server is switched on again",
)
def server_gone(context: FaultContext) -> Iterator[None]:
    """the server's power fails while an agent joins"""
    context.during_operation(
        "the agent's configuration",
        context.file_exists(AGENT, K3S_CONFIG),
        lambda: power_cut(context[SERVER]),
    )
    with context.short_timeouts():
        yield
    context.start_machines()


@fault(
    AREA,
    "upgrade",
    r"server-1: k3s \(server\) was not ready after 15 s; last seen: unit k3s is activating",
    r"journalctl -u k3s",
    max_seconds=150,
    remedy="what stopped it is removed, and the roll-out continues",
)
def upgrade_stops(context: FaultContext) -> Iterator[None]:
    """the server does not start with the next release: no agent is upgraded"""
    before = context.run_on(AGENT, "k3s --version")
    with context.replaced_command(SERVER, "k3s", "/bin/false"):
        yield
    assert context.run_on(AGENT, "k3s --version") == before, "the agent was upgraded nevertheless"


@fault(
    AREA,
    "upgrade",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: unit k3s-agent is activating",
    r"journalctl -u k3s-agent",
    max_seconds=150,
    remedy="what stopped it is removed, and the roll-out continues",
)
def roll_out_stops(context: FaultContext) -> Iterator[None]:
    """the first of two agents does not start with the next release: the second is not upgraded"""
    wanted, present = context.config["k3s"]["version"], context.run_on(AGENT, "k3s --version")
    context.config["pools"]["rtx"]["hosts"][SECOND] = SECOND_ADDRESS
    context.config["k3s"]["version"] = present.split()[2]
    context.start_machines()
    context.cluster.up()
    context.config["k3s"]["version"] = wanted
    with context.replaced_command(AGENT, "k3s-agent", "/bin/false"):
        yield
    assert context.run_on(SERVER, "k3s --version") != present, "the server was not upgraded first"
    assert context.run_on(SECOND, "k3s --version") == present, "the second agent was upgraded nevertheless"
    context.cluster.up()
    assert wanted in context.run_on(SECOND, "k3s --version"), "the roll-out did not continue"
    del context.config["pools"]["rtx"]["hosts"][SECOND]


@fault(
    AREA,
    "destroy",
    max_seconds=120,
    remedy="the destroy cleans the machines, the half-joined one as well",
    fails=False,
)
def destroyed_half_way(context: FaultContext) -> Iterator[None]:
    """the last `up` failed in the middle of a machine's join"""
    context.raise_generation()
    inject.filter_port(context[AGENT], 6443, "REJECT", chain="OUTPUT", peer=context[SERVER].address)
    context.run_on(AGENT, "systemctl stop k3s-agent")
    with context.short_timeouts():
        context.cluster.expect_failure(context.cluster.up)
    yield
    inject.remove_filters(context[AGENT])


@fault(
    AREA,
    "change",
    max_seconds=120,
    remedy="the next `up` writes the right token and restarts k3s",
    fails=False,
)
def wrong_token(context: FaultContext) -> Iterator[None]:
    """an agent has another cluster's token and retries with it forever"""
    context.run_on(
        AGENT,
        "cd /etc/rancher/k3s; printf 'K10%064d::node:wrong\\n' 0 >agent-token; "
        "cat config.yaml agent-token /usr/local/bin/k3s /etc/systemd/system/k3s-agent.service "
        "| sha256sum | cut -d ' ' -f 1 >/etc/k3s-gpu-sharing/started; systemctl restart --no-block k3s-agent",
    )
    yield


@fault(
    AREA,
    "change",
    r"gpu-1: k3s \(agent\) was not ready after 15 s",
    r"a node of this name with another disk is still known: delete it with kubectl delete node gpu-1",
    max_seconds=120,
    remedy="`kubectl delete node gpu-1`",
)
def stale_node_password(context: FaultContext) -> Iterator[None]:
    """a machine has another node password than before, as after a reinstallation"""
    context.run_on(AGENT, "systemctl stop k3s-agent; echo another >/etc/rancher/node/password")
    with context.short_timeouts():
        yield
    context.cluster.kubectl("delete", "node", AGENT)


@fault(
    AREA,
    "change",
    r"gpu-1: another run has been at work here for 15 s",
    r"wait for it; it holds /run/lock/k3s-gpu-sharing\.lock",
    max_seconds=120,
    remedy="the other run ends",
)
def lock_held(context: FaultContext) -> Iterator[None]:
    """another run works on a machine and does not end"""
    context.run_on(AGENT, "systemd-run --unit holder flock /run/lock/k3s-gpu-sharing.lock sleep infinity")
    with context.short_timeouts():
        yield
    context.run_on(AGENT, "systemctl stop holder")
