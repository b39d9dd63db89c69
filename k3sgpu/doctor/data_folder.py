"""Where k3s keeps its data on a machine: the nearest folder that exists, with links followed."""

import re
from dataclasses import dataclass

from k3sgpu.doctor.machine import Machine

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")
USUAL = "/var/lib"


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds k3s's data, or will hold it."""

    path: str = USUAL
    """Without links: /mnt/big/k3s."""
    file_system: str = ""
    """Its type as in /proc/mounts: ext4, nfs4. "" where that is not known."""
    options: str = ""
    """Its mount options, with commas."""

    @property
    def mount(self) -> str:
        """The folder for a command that looks at the disk."""
        return USUAL if self.path.startswith(USUAL) else self.path

    @property
    def shown(self) -> str:
        """The folder for messages; one that k3s's own path leads to, with where that is."""
        return self.path if self.path.startswith(USUAL) else f"{self.path}, to which /var/lib/rancher leads"


def data_folder(machine: Machine) -> DataFolder:
    """The data folder that the facts show."""
    parts = machine.facts.one("data-mounted").split(" ")
    # The path becomes part of commands to paste, so it has no character that means something to a shell.
    return DataFolder(*parts) if len(parts) == 3 and _PLAIN_PATH.fullmatch(parts[0]) else DataFolder()
