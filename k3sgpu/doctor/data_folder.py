"""The folder that holds k3s's data on a machine, with links followed and the mount that it is on."""

import re
from dataclasses import dataclass

from k3sgpu.doctor.machine import Machine

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")
DEFAULT_FOLDER = "/var/lib"
"""Where k3s's data lie unless a link leads elsewhere."""


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds k3s's data, or will hold it."""

    path: str = DEFAULT_FOLDER
    """The nearest folder that exists, without links: /mnt/big/k3s."""
    file_system: str = ""
    """Its type as in /proc/mounts: ext4, nfs4. "" where that is not known."""
    options: str = ""
    """Its mount options, with commas."""

    @property
    def _is_default(self) -> bool:
        return f"{self.path}/".startswith(f"{DEFAULT_FOLDER}/")

    @property
    def for_commands(self) -> str:
        """The folder to put into a command about the disk."""
        return DEFAULT_FOLDER if self._is_default else self.path

    @property
    def for_messages(self) -> str:
        """The folder for a message, which also names the link that leads to it."""
        return self.path if self._is_default else f"{self.path}, to which /var/lib/rancher leads"


def data_folder(machine: Machine) -> DataFolder:
    """The data folder that the facts show."""
    parts = machine.facts.one("data-mounted").split(" ")
    # The path becomes part of commands to paste, so it has no character that means something to a shell.
    return DataFolder(*parts) if len(parts) == 3 and _PLAIN_PATH.fullmatch(parts[0]) else DataFolder()
