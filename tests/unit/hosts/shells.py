"""The shells that may be /bin/sh on a host. Only those that this computer has; .ci/run installs all."""

import shutil

ALL = ("dash", "bash", "busybox sh")
SHELLS = [shell for shell in ALL if shutil.which(shell.split()[0])]
