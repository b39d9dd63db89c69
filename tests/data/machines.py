"""Machines for the rules: the facts of one that has no problem, and helpers that change some of them."""

from typing import Any

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.doctor.rules.system import TOOLS
from k3sgpu.hosts.facts import Clock, Facts, parse_facts
from tests.data.inventories import host_entry

DEBIAN = f"""\
privileges\troot
kernel\tLinux
arch\tx86_64
os\tDebian GNU/Linux 12 (bookworm)
systemd\trunning
machine-id\taaaa
cpus\t4
memory-kib\t8000000
cgroup-fs\tcgroup2fs
cgroup-controllers\tcpuset cpu io memory hugetlb pids rdma misc
disk-free-kib\t68775260
address\t127.0.0.1 lo
address\t10.0.0.11 eth0
address\tfe80::1 eth0
default-route\teth0
kernel-headers\tthere
listens\t0016
{chr(10).join(f"tool{chr(9)}{tool}" for tool in [*TOOLS, "curl"])}
end\tok
"""
GPU = """\
pci-gpu\t0000:01:00.0 0x1e04
nvidia-module\t580.126.20
nvidia-smi-status\t0
nvidia-smi\tNVIDIA GeForce RTX 2080 Ti, 11264 MiB
toolkit\t/usr/bin/nvidia-container-runtime
toolkit-option\taccept-nvidia-visible-devices-envvar-when-unprivileged false
"""
OUR_K3S = """\
owner\tproject k3s-gpu-sharing
owner\tstack dev
owner\thost node-1
owner\tmachine-id aaaa
k3s-binary\t/usr/local/bin/k3s
k3s-version\tv1.36.2+k3s1
k3s-unit\tk3s.service active
listens\t192B
listens\t280A
"""
OUR_AGENT = (
    OUR_K3S.replace("host node-1", "host gpu-1")
    .replace("k3s.service", "k3s-agent.service")
    .replace("machine-id aaaa", "machine-id bbbb")
)
"""As OUR_K3S, for the agent gpu-1 with machine-id bbbb."""
CARD = {"count": 1, "product": "NVIDIA-GeForce-RTX-2080-Ti"}
"""What a stack file declares for the card of GPU."""
PLAN = Plan(
    project="k3s-gpu-sharing", stack="dev", k3s_version="v1.36.2+k3s1", mirror="https://example.org",
    driver="host", toolkit="host",
)  # fmt: skip


def facts(text: str = DEBIAN, **changes: str | tuple[str, ...] | None) -> Facts:
    """The facts of `text`, with some replaced (None: absent). The argument a_b is the fact a-b."""
    values = dict(parse_facts(text).values)
    for name, value in changes.items():
        key = name.replace("_", "-")
        values.pop(key, None)
        if value is not None:
            values[key] = (value,) if isinstance(value, str) else value
    return Facts(values)


def machine(
    known: Facts, name: str = "node-1", *, clock: Clock | None = None, peer: str = "", **host: Any
) -> Machine:
    """A machine with these facts. `host`: keys of its entry in the inventory."""
    return Machine(host_entry(name, **host), known, clock, peer)


def plan(**changes: Any) -> Plan:
    """PLAN with some fields replaced."""
    return Plan(**{**vars(PLAN), **changes})
