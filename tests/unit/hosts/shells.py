"""The shells that may be /bin/sh on a host, and others that may be a login's.

Only those that this computer has; .ci/run installs all.
"""

import shutil

ALL = ("dash", "bash", "busybox sh")
OTHERS = ("zsh", "fish")
SHELLS = [shell for shell in ALL if shutil.which(shell.split()[0])]
LOGIN_SHELLS = [shell for shell in (*ALL, *OTHERS) if shutil.which(shell.split()[0])]
