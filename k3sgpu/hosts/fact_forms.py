"""The forms of facts: numbers, and words that messages put into commands to paste.

A hostile machine can answer with any text, so these facts are checked before a rule uses them. A fact that is
not here is free text, which no rule puts into a command. scripts/facts.sh prints the facts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from k3sgpu.foreign_text import escape


@dataclass(frozen=True)
class Form:
    """The form of a value: a pattern that matches all of it, and a description for messages."""

    pattern: re.Pattern[str]
    description: str


NUMBER = Form(re.compile(r"[0-9]{1,15}"), "a number")
PORT = Form(re.compile(r"[0-9A-Fa-f]{1,4}"), "a port in hexadecimal")
WORD = Form(re.compile(r"[A-Za-z0-9._:/@%+~-]{1,253}"), "one word of letters, digits and ._:/@%+~-")
WORDS = Form(re.compile(r"[A-Za-z0-9._:/@%+~\\ -]{1,500}"), "words of letters, digits and ._:/@%+~-")
ADDRESS = Form(
    re.compile(r"[A-Za-z0-9._:%/@,+-]{1,80}( [^\s\"'`$\\;&|<>(){}]{1,15})?"),
    "an address or an interface, or both",
)
# The program itself chose the URLs, so only their characters are checked.
DOWNLOAD = Form(
    re.compile(r"[A-Za-z0-9._:/@%+~?&=,-]{1,2000} [0-9]{3} [a-z]+ [0-9]{1,3}"),
    "a URL, a status and how it ended",
)

FORMS = {
    **dict.fromkeys(
        (
            "cpus",
            "disk-free-kib",
            "inodes-free",
            "memory-kib",
            "nvidia-smi-status",
            "program-free-kib",
            "time",
        ),
        NUMBER,
    ),
    **dict.fromkeys(("listens", "listens-udp"), PORT),
    **dict.fromkeys(
        (
            "arch",
            "check-config",
            "hostname",
            "k3s-binary",
            "k3s-files",
            "k3s-version",
            "kernel",
            "kernel-lacks",
            "kernel-release",
            "kubernetes",
            "machine-id",
            "nvidia-module",
            "os-id",
            "pci-driver",
            "service",
            "source",
            "toolkit",
            "unknown-name",
        ),
        WORD,
    ),
    **dict.fromkeys(("k3s-unit", "mig-partition", "owner", "toolkit-option"), WORDS),
    **dict.fromkeys(("address", "default-route"), ADDRESS),
    "download": DOWNLOAD,
}
"""By fact, the form of each of its values."""


def malformed(name: str, values: Iterable[str]) -> str:
    """Says which of `values` does not have the form of the fact `name`; "" when all have it."""
    form = FORMS.get(name)
    wrong = next((value for value in values if form and not form.pattern.fullmatch(value)), None)
    return (
        f"the fact {name} is {escape(wrong, 40)}, expected {form.description}"
        if form and wrong is not None
        else ""
    )
