"""Names for hosts, pools and profiles: valid for Kubernetes, near to what people know, each once."""

import re
from collections.abc import Collection

from k3sgpu.discovery.candidates import Seen
from k3sgpu.foreign_text import escape
from k3sgpu.settings.models.names import LABEL_LIMIT

_MAKERS = re.compile(r"^(NVIDIA-)?(GeForce-|Tesla-)?")
_NO_NAMES = ("", "localhost", "localhost4", "debian", "ubuntu", "fedora", "linux", "host")
"""Hostnames that an image brings and that name no machine."""


def valid_name(text: str) -> str:
    """The nearest name of letters, digits and '-' that a Kubernetes object can have; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:LABEL_LIMIT].strip("-")


def unique_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or with the first number behind it that is free: gpu-1, gpu-1-2."""
    if wanted not in taken:
        return wanted
    number = next(number for number in range(2, len(taken) + 3) if _numbered(wanted, number) not in taken)
    return _numbered(wanted, number)


def short_product(label: str) -> str:
    """A product without its maker: rtx-2080-ti of NVIDIA-GeForce-RTX-2080-Ti."""
    return valid_name(_MAKERS.sub("", label)) or "gpu"


def host_name(seen: Seen, fallback: str, taken: Collection[str]) -> tuple[str, str]:
    """The name of a machine's Node, and a note where it is not the machine's hostname.

    The name of an inventory goes first; `fallback` is for machines without a name of their own.
    """
    hostname = seen.facts.one("hostname")
    own = valid_name(hostname.split(".")[0])
    wanted = valid_name(seen.candidate.argument.name) or ("" if own in _NO_NAMES else own)
    name = unique_name(wanted or fallback, taken)
    if name == own:
        return name, ""
    return name, f"its hostname is {escape(hostname, 80)}" if hostname else "it has no hostname"


def _numbered(name: str, number: int) -> str:
    suffix = f"-{number}"
    return name[: LABEL_LIMIT - len(suffix)].rstrip("-") + suffix
