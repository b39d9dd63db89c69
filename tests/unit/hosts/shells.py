"""The shells that a machine's sh may be, as far as this computer has them; .ci/run installs what it lacks."""

import shutil

ALL = ("dash", "bash", "busybox sh")
SHELLS = [shell for shell in ALL if shutil.which(shell.split()[0])]
