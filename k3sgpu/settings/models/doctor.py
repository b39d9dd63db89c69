"""The section `doctor`: which checks of hosts to skip."""

from typing import Annotated, Literal

from pydantic import Field

from k3sgpu.settings.models.base import Model

WaivableCheck = Literal[
    "address",
    "card-access",
    "cgroup",
    "clock",
    "containerd",
    "cpu",
    "disk",
    "dns",
    "download",
    "driver",
    "driver-image",
    "fabric",
    "file-system",
    "firewall",
    "flannel",
    "gpu",
    "headers",
    "hostname",
    "inodes",
    "iptables",
    "kernel-config",
    "machine-id",
    "memory",
    "modules",
    "mounts",
    "networks",
    "nm-cloud-setup",
    "node-address",
    "partitions",
    "platform",
    "ports",
    "product-uuid",
    "registration",
    "resolv-conf",
    "route",
    "runtime",
    "secure-boot",
    "security",
    "skew",
    "swap",
    "system",
    "time-sync",
    "toolkit",
    "tools",
    "version",
]
"""The checks of doctor that a stack file may waive. Those that it may not waive are marked in
k3sgpu/doctor/registry.py: `owner` and `privileges`, and what is reported about a host that cannot be asked
(`connection`, `host-key`, `login`, `facts`)."""

WaivedChecks = Annotated[tuple[WaivableCheck, ...], Field(strict=False, max_length=100)]


class Doctor(Model):
    """Settings of the checks that doctor runs on every host."""

    waive: WaivedChecks = Field(
        default=(),
        description="checks to skip on every host, by the name that doctor reports",
        examples=["[swap]"],
    )
