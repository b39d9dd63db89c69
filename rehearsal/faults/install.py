"""k3s on a machine: its download, its unit, its way into the cluster."""

from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.fault import AGENT, CONFIGURED, SERVER, Life, fault
from rehearsal.lab.machines import power_cut

AREA = "install"
SECOND, SECOND_ADDRESS = "gpu-2", "10.77.0.215"
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
    r"gpu-1 .*\n(.*\n)*?.*error: download\n\s*found: +https://10\.77\.0\.219/release/\S+ is not reached: ",
    r"mirror: https://\.\.\.\}, or \{airGap: FOLDER\}",
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
    r"server-1: could not download https://10\.77\.0\.219/release/v1\.36\.2%2Bk3s1/k3s",
    r"check that this machine reaches it, or set k3s\.mirror or k3s\.proxy",
    within=90,
    healed="the stack file gets a mirror that delivers",
)
def download_cut(life: Life) -> Iterator[None]:
    """k3s is there to be fetched, and its download ends before its end"""
    from_a_mirror(life)
    curl = (
        'case "$*" in *http_code*) echo 200; exit ;; esac\n'
        'echo "curl: (18) end of response with 61341696 bytes missing" >&2; exit 18'
    )
    with inject.wrapped(life[SERVER], "curl", curl), inject.wrapped(life[AGENT], "curl", curl):
        yield
    for host in (SERVER, AGENT):
        assert not inject.exists(life[host], "/usr/local/bin/k3s"), f"it was installed on {host} all the same"
    from_files(life)


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n(.*\n)*?.*error: owner\n\s*found: +k3s v1\.30\.0\+k3s1 that this program did not install",
    r"k3s-uninstall\.sh",
    within=60,
    healed="a destroy leaves it alone; its owner takes it away",
)
def somebody_elses_k3s(life: Life) -> Iterator[None]:
    """a machine has a k3s that this program did not install"""
    theirs = "#!/bin/sh\necho k3s version v1.30.0+k3s1\n"
    inject.put(life[AGENT], "/usr/local/bin/k3s", theirs, "755")
    yield
    life.stage.destroy()
    assert inject.exists(life[AGENT], "/usr/local/bin/k3s"), "it was taken away"
    life.on(AGENT, "rm /usr/local/bin/k3s")


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
    with life.instead(AGENT, "k3s-agent", "/bin/false"):
        yield


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
    with life.instead(AGENT, "k3s-agent", "/bin/sleep infinity"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: (unit k3s-agent|node gpu-1) is",
    r"journalctl -u k3s-agent",
    within=120,
    healed="what ended it is taken away",
)
def dies_after_start(life: Life) -> Iterator[None]:
    """k3s says that it is ready and ends a moment later, again and again"""
    with life.instead(AGENT, "k3s-agent", "/bin/sh -c 'systemd-notify --ready; sleep 1; exit 1'"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s",
    r"port 6443 of the server is not reachable from here: look at firewalls",
    within=150,
    healed="the server has its power again",
)
def server_gone(life: Life) -> Iterator[None]:
    """the server's power fails while an agent joins"""
    life.meanwhile(
        "the agent's configuration", life.there(AGENT, CONFIGURED), lambda: power_cut(life[SERVER])
    )
    with life.impatient():
        yield
    life.boot()


@fault(
    AREA,
    "upgrade",
    r"server-1: k3s \(server\) was not ready after 15 s; last seen: unit k3s is activating",
    r"journalctl -u k3s",
    within=150,
    healed="what stopped it is taken away, and the roll-out goes on",
)
def upgrade_stops(life: Life) -> Iterator[None]:
    """the server does not start with the next release: no agent is touched"""
    before = life.on(AGENT, "k3s --version")
    with life.instead(SERVER, "k3s", "/bin/false"):
        yield
    assert life.on(AGENT, "k3s --version") == before, "the agent was upgraded all the same"


@fault(
    AREA,
    "upgrade",
    r"gpu-1: k3s \(agent\) was not ready after 15 s; last seen: unit k3s-agent is activating",
    r"journalctl -u k3s-agent",
    within=150,
    healed="what stopped it is taken away, and the roll-out goes on",
)
def roll_out_stops(life: Life) -> Iterator[None]:
    """the first of two agents does not start with the next release: the second one is not touched"""
    wanted, present = life.config["k3s"]["version"], life.on(AGENT, "k3s --version")
    life.config["pools"]["rtx"]["hosts"][SECOND] = SECOND_ADDRESS
    life.config["k3s"]["version"] = present.split()[2]
    life.boot()
    life.stage.up()
    life.config["k3s"]["version"] = wanted
    with life.instead(AGENT, "k3s-agent", "/bin/false"):
        yield
    assert life.on(SERVER, "k3s --version") != present, "the server was not upgraded first"
    assert life.on(SECOND, "k3s --version") == present, "the second agent was upgraded all the same"
    life.stage.up()
    assert wanted in life.on(SECOND, "k3s --version"), "the roll-out did not go on"
    del life.config["pools"]["rtx"]["hosts"][SECOND]


@fault(
    AREA,
    "destroy",
    within=120,
    healed="the machines are cleaned, as far as they had come",
    refused=False,
)
def destroyed_half_way(life: Life) -> Iterator[None]:
    """the last `up` failed in the middle of a machine's join"""
    life.generation()
    inject.filter_port(life[AGENT], 6443, "REJECT", chain="OUTPUT", peer=life[SERVER].address)
    life.on(AGENT, "systemctl stop k3s-agent")
    with life.impatient():
        life.stage.refused(life.stage.up)
    yield
    inject.no_filter(life[AGENT])


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
    life.on(AGENT, "systemctl stop k3s-agent; echo another >/etc/rancher/node/password")
    with life.impatient():
        yield
    life.stage.kubectl("delete", "node", AGENT)


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
    life.on(AGENT, "systemd-run --unit holder flock /run/lock/k3s-gpu-sharing.lock sleep infinity")
    with life.impatient():
        yield
    life.on(AGENT, "systemctl stop holder")
