"""The POSIX sh that runs on hosts: one file a script, shared parts in parts/, and the texts of Commands.

    stage-host.sh       prepares a host: claims it, takes the staged scripts, starts the download of k3s
    receive-release.sh  takes an uploaded release, file by file
    unstage-host.sh     removes what stage-host.sh left where k3s was never installed
    release-host.sh     takes a host out of the program; its k3s goes on
    converge.sh         makes a host the k3s node that the stack file describes
    uninstall.sh        uninstalls k3s; stage-host.sh leaves it on the host, so that it is there on removal
    run-uninstall.sh    starts uninstall.sh on the host
    drain.sh            on another server: moves the pods of a removed host away
    delete-node.sh      on another server: deletes the Node of a removed host
    label-nodes.sh      on the initial server: sets labels and taints of all Nodes
    tokens.sh           on the initial server: prints the tokens
    kubeconfig.sh       on the initial server: prints the kubeconfig
    read-k3s.sh         prints what `adopt` has to know about a k3s that was installed by hand
    facts.sh            prints what the host checks have to know

A Command stores its text twice in the state, and a preview shows it. So the scripts of STAGED are on the
hosts before the Command runs (`python -m k3sgpu stage`), each in a file that is named by its hash, and the
Command's text is the script's variables, the check of the hash and the call (`run_staged`). The short ones
are the whole text of their Command (`render`): tokens and kubeconfig, and run-uninstall, because a destroy
needs nothing staged.

To add a script: write it beside these, in POSIX sh; the comment at its top says what it does and what is set
in front. Add its deadlines to k3sgpu.timeouts.SCRIPT_TIMEOUTS, `. ./timeouts.sh` to its top, a line to the
table above, and its name to STAGED. Call `run_staged("<name>", …, VARIABLE=…)` in components/k3s_scripts.py,
and register a Command in components/k3s_host.py. The tests (tests/unit/hosts/test_scripts.py) and shellcheck
(make check) find it by themselves.

Texts hold no secret: those go through stdin. The same input makes the same text.
"""

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from k3sgpu.timeouts import SCRIPT_TIMEOUTS

_HERE = Path(__file__).parent
_PART = re.compile(r"^\. \./(parts/[\w-]+)\.sh\n", re.MULTILINE)
_TIMEOUTS = ". ./timeouts.sh\n"
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_COMMENT = re.compile(r"^[ \t]*#.*\n", re.MULTILINE)

# A login over SSH may have any locale, and a PATH without sbin or /usr/local/bin (RHEL's sudo). kubectl would
# otherwise leave its cache in the home of the login.
_PRELUDE = """\
set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
KUBECACHEDIR=/run/k3s-gpu-sharing/kubectl
export LC_ALL PATH KUBECACHEDIR
"""

UNINSTALL = "uninstall"
"""The script that is whole on a host, as /usr/local/lib/k3s-gpu-sharing/clean: it is executed, and somebody
may have to read it when nothing else is left."""
STAGED: Mapping[str, tuple[str, ...]] = {
    "agent": ("converge", UNINSTALL),
    "server": ("converge", UNINSTALL, "drain", "delete-node", "label-nodes"),
}
"""By role: the scripts that a host gets before a Command runs them."""
SCRIPTS_FOLDER = "/usr/local/lib/k3s-gpu-sharing/scripts"

BACKSLASH = "\\"
END_OF_PASSWORD = "-- end of the password --"

# sudo reads the first line, unless it needs no password: then the script would read it as its own stdin.
_DROP_PASSWORD = f"""\
while IFS= read -r line; do [ "$line" != {shlex.quote(END_OF_PASSWORD)} ] || break; done
unset line
"""


@cache
def source(script: str) -> str:
    """The text of `<script>.sh` with its parts, and with the deadlines that it uses.

    `. ./parts/<part>.sh` stands for that file, and `. ./timeouts.sh` for assignments from SCRIPT_TIMEOUTS.
    Raises FileNotFoundError for an unknown script or part.
    """
    text = _PART.sub(lambda part: source(part[1]), (_HERE / f"{script}.sh").read_text())
    used = {name: seconds for name, seconds in SCRIPT_TIMEOUTS.items() if re.search(rf"\b{name}\b", text)}
    return text.replace(_TIMEOUTS, _assignments(used))


def render(script: str, /, **variables: str | int) -> str:
    """The text of `script` for a host, with `variables` set in front, each quoted for sh.

    It has no comments: a changed comment is no change on any host. Raises ValueError for a variable name that
    sh does not accept, FileNotFoundError for an unknown script.
    """
    return _PRELUDE + _assignments(variables) + _without_comments(source(script))


@cache
def staged_text(script: str) -> str:
    """What is in the staged file of `script`. Raises FileNotFoundError for an unknown script."""
    return source(script) if script == UNINSTALL else render(script)


@cache
def staged_sha256(script: str) -> str:
    """The SHA-256 of `staged_text`, which is in the file's name where Commands call it."""
    return hashlib.sha256(staged_text(script).encode()).hexdigest()


def staged_hashes() -> dict[str, dict[str, str]]:
    """By role: the scripts that a host gets, each with its SHA-256."""
    return {role: {name: staged_sha256(name) for name in names} for role, names in STAGED.items()}


def run_staged(script: str, machine: str, /, **variables: str | int) -> str:
    """The text of a Command that runs the staged `script` on `machine`, with `variables`.

    Empty ones are set as well: a login may have a variable of that name. Raises as `render`, and ValueError
    for a script that no Command can call.
    """
    if script == UNINSTALL or not any(script in names for names in STAGED.values()):
        raise ValueError(f"not a staged script of Commands: {script!r}")
    return f"""\
{_assignments(variables)}sha256={staged_sha256(script)}
script={SCRIPTS_FOLDER}/{script}-$sha256.sh
[ "$(sha256sum <$script)" = "$sha256  -" ] || {{
    echo "{machine}: $script is missing or not as it was staged
  remedy: raise k3s.generation in the stack file, and run up without --target" >&2
    exit 1
}}
. $script
"""


@cache
def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text)


def _assignments(variables: Mapping[str, str | int]) -> str:
    for name in variables:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a variable name for a script: {name!r}")
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())


def secret_lines(**secrets: str) -> str:
    """The stdin of a script that reads secrets: one line for each, whatever characters it has."""
    return "".join(f"{name}={base64.b64encode(text.encode()).decode()}\n" for name, text in secrets.items())


def under_sh(script: str) -> str:
    """`script` under /bin/sh, for a login whose own shell may be sh, bash, zsh or fish."""
    return f"exec /bin/sh -c {quote(script)}\n"


def as_root(script: str, *, password: bool = False) -> str:
    """`script` for a login that is not root: all of it under sudo, which must not ask for anything.

    With `password`, sudo reads its password from stdin, which `password_stdin` makes. The login's own shell
    may be any as in `under_sh`.
    """
    if password:
        return f"exec sudo -k -S -p '' /bin/sh -c {quote(_DROP_PASSWORD + script)}\n"
    return f"exec sudo -n /bin/sh -c {quote(script)}\n"


def quote(text: str) -> str:
    """`text` as one word for sh, bash, zsh and fish alike.

    In single quotes sh takes a backslash as it is, and fish takes it as an escape
    (fishshell.com/docs/current/language.html, Quotes): both stand in double quotes.
    """
    quoted = re.sub(r"'+|\\+", lambda found: f"""'"{found[0].replace(BACKSLASH, 2 * BACKSLASH)}"'""", text)
    return f"'{quoted}'"


def password_stdin(password: str, rest: str) -> str:
    """The stdin for a script under `as_root(…, password=True)`. The script reads only `rest`."""
    return f"{password.rstrip()}\n{END_OF_PASSWORD}\n{rest}"
