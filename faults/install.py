"""k3s on a machine: its download, its unit, its way into the cluster."""

from collections.abc import Iterator

from faults import inject
from faults.fault import AGENT, SERVER, Life, fault

AREA = "install"
NOBODYS_MIRROR = "https://10.77.0.219/release"


def from_a_mirror(life: Life) -> None:
    """k3s comes from a mirror in the network."""
    life.config["k3s"] |= {"mirror": NOBODYS_MIRROR, "installScriptUrl": f"{NOBODYS_MIRROR}/install.sh"}
    life.config["k3s"]["installScriptSha256"] = "0" * 64


def from_files(life: Life) -> None:
    """k3s comes from the machines' own files again."""
    life.config["k3s"]["mirror"] = "file:///opt/standin/release"
    del life.config["k3s"]["installScriptUrl"], life.config["k3s"]["installScriptSha256"]


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


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n(.*\n)*?.*ERROR download: https://10\.77\.0\.219/release/\S+ is not reached: ",
    r"mirror: https://\.\.\. or file:///\.\.\.",
    within=90,
    healed="the stack file gets a mirror that is there",
)
def mirror_down(life: Life) -> Iterator[None]:
    """nobody answers where k3s is to come from"""
    from_a_mirror(life)
    yield
    from_files(life)


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: unit k3s-agent is activating",
    r"journalctl -u k3s-agent",
    within=120,
    healed="what stopped it is taken away",
)
def crash_loop(life: Life) -> Iterator[None]:
    """k3s ends as soon as it is started, again and again"""
    life.impatient()
    inject.drop_in(life[AGENT], "k3s-agent", "ExecStart=\nExecStart=/bin/false")
    yield
    inject.no_drop_in(life[AGENT], "k3s-agent")
    life.patient()


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: unit k3s-agent is activating",
    r"journalctl -u k3s-agent",
    within=120,
    healed="what held it up is taken away",
)
def hangs_at_start(life: Life) -> Iterator[None]:
    """k3s is started and never says that it is ready"""
    life.impatient()
    inject.drop_in(life[AGENT], "k3s-agent", "ExecStart=\nExecStart=/bin/sleep infinity")
    yield
    inject.no_drop_in(life[AGENT], "k3s-agent")
    life.patient()


@fault(
    AREA,
    "destroy",
    within=120,
    healed="the machines are cleaned, as far as they had come",
    refused=False,
)
def destroyed_half_way(life: Life) -> Iterator[None]:
    """the last `up` failed in the middle of a machine's join"""
    life.impatient()
    life.generation()
    inject.filter_port(life[AGENT], 6443, "REJECT", chain="OUTPUT", peer=life[SERVER].address)
    life.on(AGENT, "systemctl stop k3s-agent")
    life.stage.refused(life.stage.up)
    yield
    inject.no_filter(life[AGENT])
    life.patient()


@fault(
    AREA,
    "change",
    within=120,
    healed="the next `up` gives it the right one and starts it anew",
    refused=False,
)
def wrong_token(life: Life) -> Iterator[None]:
    """an agent has another cluster's token, and tries with it for ever"""
    life.on(
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
    within=120,
    healed="`kubectl delete node gpu-1`",
)
def stale_node_password(life: Life) -> Iterator[None]:
    """a machine has lost its node's password, as after a new installation"""
    life.impatient()
    life.on(AGENT, "systemctl stop k3s-agent; echo another >/etc/rancher/node/password")
    yield
    life.stage.kubectl("delete", "node", AGENT)
    life.patient()


@fault(
    AREA,
    "change",
    r"gpu-1: another run has been at work here for 15 s",
    r"wait for it; it holds /run/lock/k3s-gpu-sharing\.lock",
    within=120,
    healed="the other run has ended",
)
def lock_held(life: Life) -> Iterator[None]:
    """another run is at work on a machine, and does not end"""
    life.impatient()
    life.on(AGENT, "systemd-run --unit holder flock /run/lock/k3s-gpu-sharing.lock sleep infinity")
    yield
    life.on(AGENT, "systemctl stop holder")
    life.patient()
