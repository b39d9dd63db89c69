"""Machines on which k3s was installed by hand, as read-k3s.sh prints them."""

import base64
from collections.abc import Mapping, Sequence

VERSION = "v1.36.2+k3s1"
UNIT = """\
[Unit]
Description=Lightweight Kubernetes
[Service]
Type=notify
EnvironmentFile=-/etc/systemd/system/{unit}.env
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \\
    {role} \\
{flags}

"""
HEADER = {"server": "k3s.service", "agent": "k3s-agent.service"}
HASH = "ab" * 32


def node(name: str, ip: str, machine_id: str, version: str = VERSION, role: str = "") -> str:
    return f"{name}|{ip}|{machine_id}|{version}|{role}"


def lines(
    role: str,
    *flags: str,
    hostname: str,
    env: str = "",
    files: Mapping[str, str] | None = None,
    nodes: Sequence[str] = (),
    **values: str,
) -> list[str]:
    """What the script prints about a k3s whose unit has these flags."""
    unit = HEADER[role]
    quoted = "".join(f"\t'{flag}' \\\n" for flag in flags)
    texts = {
        f"/etc/systemd/system/{unit}": UNIT.format(unit=unit, role=role, flags=quoted),
        f"/etc/systemd/system/{unit}.env": env,
        **(files or {}),
    }
    facts = {
        "hostname": hostname,
        "machine-id": f"id-{hostname}",
        "binary": "/usr/local/bin/k3s",
        "version": VERSION,
        "unit": f"{unit} active",
        "files": HASH,
        "ca": "ca" * 32,
        **({"database": "sqlite"} if role == "server" else {}),
        **{name.replace("_", "-"): value for name, value in values.items()},
    }
    printed = [f"{name} {value}" for name, value in facts.items() if value]
    for path, text in texts.items():
        encoded = base64.encodebytes(text.encode()).decode().split("\n")
        printed += [f"file {path}", *(f"text {line}" for line in encoded if line)]
    return [*printed, *(f"node {one}" for one in nodes), "end ok"]
