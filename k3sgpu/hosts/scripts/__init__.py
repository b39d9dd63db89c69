"""The POSIX sh that runs on machines, one file a job, and the one function that renders it.

A rendered script is what a `remote.Command` sends: it shows in previews and lies in the state, so
it holds no secret (those arrive on stdin) and is the same text for the same input.
"""

import base64
import re
import shlex
from pathlib import Path

_HERE = Path(__file__).parent
_PART = re.compile(r"^\. \./([\w-]+)\.sh\n", re.MULTILINE)
_ACTS = "\ntake_secrets\n"
"""The line with which converge begins to act; what stands before it are definitions."""
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_COMMENT = re.compile(r"^[ \t]*#.*\n", re.MULTILINE)

# A login over SSH may carry any locale and a PATH without sbin or /usr/local/bin (RHEL's sudo). KUBECACHEDIR:
# what kubectl learns of the API would otherwise stay in somebody's home.
_PRELUDE = """\
set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
KUBECACHEDIR=/run/k3s-gpu-sharing/kubectl
export LC_ALL PATH KUBECACHEDIR
"""

END_OF_PASSWORD = "-- end of the password --"

# sudo takes the first line, unless it needs no password after all: then the line is still there, and
# would be taken for what the script waits for.
_DROP_PASSWORD = f"""\
while IFS= read -r line; do [ "$line" != {shlex.quote(END_OF_PASSWORD)} ] || break; done
unset line
"""


def source(job: str) -> str:
    """The text of `<job>.sh` as it lies in this folder, with the parts that it reads (`. ./part.sh`) in their
    place: a machine gets one text. A part is read for what it defines, and does nothing by itself."""
    return _PART.sub(lambda part: source(part[1]).partition(_ACTS)[0], (_HERE / f"{job}.sh").read_text())


def render(*jobs: str, **variables: str | int) -> str:
    """The scripts of `jobs` in their order, with `variables` set in front, each quoted for sh.

    Comments stay here: another word in one is no change on any machine, and they would be a fifth of what
    the engine passes on for each.

    Raises ValueError for a variable name that sh would not take, FileNotFoundError for an unknown job.
    """
    for name in variables:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a variable name for a script: {name!r}")
    header = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    return _PRELUDE + header + "".join(_COMMENT.sub("", source(job)) for job in jobs)


def secret_lines(**secrets: str) -> str:
    """The stdin of a script that takes secrets: a line each, whatever they hold."""
    return "".join(f"{name}={base64.b64encode(text.encode()).decode()}\n" for name, text in secrets.items())


def as_root(script: str, *, password: bool = False) -> str:
    """`script` for a login that is not root: the whole of it under sudo, which asks for nothing.

    `password`: sudo's password comes on stdin, as `password_stdin` makes it.
    """
    if password:
        return f"exec sudo -k -S -p '' /bin/sh -c {shlex.quote(_DROP_PASSWORD + script)}\n"
    return f"exec sudo -n /bin/sh -c {shlex.quote(script)}\n"


def password_stdin(password: str, rest: str) -> str:
    """The stdin for a script under `as_root(…, password=True)`: it sees `rest` alone."""
    return f"{password.rstrip()}\n{END_OF_PASSWORD}\n{rest}"
