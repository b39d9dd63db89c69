"""Collects the facts of machines: runs facts.sh over SSH on all of them at once and reads what it prints."""

import asyncio
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh

from k3sgpu.foreign_text import escape
from k3sgpu.handoff.inventory import HostEntry, SshTarget
from k3sgpu.hosts import scripts
from k3sgpu.hosts.fact_forms import NUMBER, malformed
from k3sgpu.hosts.fleet import on_every_host
from k3sgpu.hosts.ssh import Failure, Login, connect, describe
from k3sgpu.timeouts import FACTS_SECONDS

SCRIPT = Path(__file__).parent / "scripts" / "facts.sh"
MAX_CONNECTIONS = 100
"""Machines that are asked at the same time; each is one open connection on this computer."""
MAX_OUTPUT = 256 * 1024
"""Characters. facts.sh prints some 10 KiB; a machine that prints more runs something else."""
CHUNK = 16 * 1024
"""Characters that are read at once."""
MAX_VALUE = 4096
"""Characters of one fact. The longest are the options of an overlay mount."""

_LINE = re.compile(r"([a-z][a-z0-9-]{0,39})\t(.*)")

# The login's own shell may be any; this is for sh, and becomes root where it can. The first line on stdin is
# sudo's password, or empty. A wrong one is tried once: some systems lock a login out.
_AS_ROOT = """\
IFS= read -r password
if [ "$(id -u)" = 0 ]; then exec sh -s root ""; fi
if said=$(sudo -k -n sh -c : 2>&1 </dev/null); then exec sudo -n sh -s sudo ""; fi
[ -n "$password" ] || exec sh -s none "" "$said"
said=$(printf '%s\\n' "$password" | sudo -k -S -p '' sh -c : 2>&1) || exec sh -s wrong-password "" "$said"
{ printf '%s\\n' "$password"; exec cat; } | sudo -k -S -p '' sh -s sudo ""
"""


@dataclass(frozen=True)
class Facts:
    """Values by name, in the order of facts.sh. An empty value counts as absent."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def all(self, name: str) -> tuple[str, ...]:
        """All values of `name`; none when the fact is absent."""
        return self.values.get(name, ())

    def one(self, name: str) -> str:
        """The first value of `name`, "" when the fact is absent."""
        return next(iter(self.all(name)), "")

    def number(self, name: str) -> int | None:
        """The first value of `name` as a number, None when it is absent or no number."""
        value = self.one(name)
        return int(value) if NUMBER.pattern.fullmatch(value) else None

    @property
    def complete(self) -> bool:
        """Whether facts.sh ran to its end."""
        return self.one("end") == "ok"


@dataclass(frozen=True)
class Clock:
    """How many seconds a machine's clock is ahead of ours: between `earliest` and `latest`.

    It was read between our request and the arrival of its answer, so a slow connection widens the range and
    does not move it.
    """

    earliest: float
    latest: float

    def distance(self, offset: float) -> float:
        """The smallest possible difference, in s, from a clock that is `offset` seconds ahead of ours."""
        return max(self.earliest - offset, offset - self.latest, 0.0)


@dataclass(frozen=True)
class Answer:
    """The facts of one machine, its clock, and `peer`, the address that was connected to."""

    facts: Facts
    clock: Clock | None
    peer: str


def parse_facts(text: str) -> Facts:
    """Reads the lines of facts.sh and ignores what a login shell prints around them.

    A value may be false. It has no control characters, and at most MAX_VALUE characters.
    """
    values: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if (match := _LINE.fullmatch(line)) and (value := match[2].strip()):
            values.setdefault(match[1], []).append(escape(value, MAX_VALUE))
    return Facts({name: tuple(found) for name, found in values.items()})


def facts_script(downloads: Sequence[str] = (), registration: str = "") -> str:
    """The text of facts.sh, with what the machine must be able to reach set in front.

    `downloads`: the URLs that an installation downloads from. `registration`: the address of the cluster's
    API, "" when there is none.
    """
    hosts = [urlsplit(url).hostname or "" for url in downloads] + [registration]
    # An address needs no name resolution.
    names = dict.fromkeys(name for name in hosts if re.search("[a-z]", name, re.IGNORECASE))
    variables = {"downloads": " ".join(downloads), "server": registration, "names": " ".join(names)}
    header = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    return header + scripts.source("facts")


async def collect_facts(
    hosts: Sequence[HostEntry],
    logins: Mapping[str, Login],
    bastion: SshTarget | None,
    script: str,
    answered: Callable[[HostEntry, Answer | Failure], None] = lambda host, answer: None,
) -> dict[str, Answer | Failure]:
    """Runs `script` on every host, at most MAX_CONNECTIONS at once, and returns the answers by name.

    `answered` is called when a host to which the login succeeded has answered.

    Hosts with `jump` are reached through `bastion`, with one login there for all. When that login fails, its
    failure stands under the bastion's name, and these hosts have the failure `bastion`. Raises InputError for
    a host key that cannot be read.
    """

    async def ask(connection: asyncssh.SSHClientConnection, host: HostEntry) -> Answer | Failure:
        answer = await _run(connection, logins[host["name"]].sudo_password, script)
        answered(host, answer)
        return answer

    return await on_every_host(hosts, logins, bastion, ask, MAX_CONNECTIONS)


async def collect_facts_from(
    host: HostEntry, login: Login, tunnel: asyncssh.SSHClientConnection | None, script: str
) -> Answer | Failure:
    """Connects to one host, through `tunnel` where it is given, and runs `script` there."""
    connection = await connect(host, login, tunnel)
    if isinstance(connection, Failure):
        return connection
    try:
        return await _run(connection, login.sudo_password, script)
    finally:
        connection.abort()


async def _run(connection: asyncssh.SSHClientConnection, password: str, script: str) -> Answer | Failure:
    output = _Output()
    status: int | None = None
    try:
        async with asyncio.timeout(FACTS_SECONDS):
            process = await connection.create_process(
                scripts.under_sh(_AS_ROOT), stderr=asyncssh.STDOUT, errors="replace"
            )
            output.started = time.time()
            # A login that runs no commands has closed its input already; its output is read below.
            with suppress(OSError):
                process.stdin.write(f"{password.rstrip()}\n{script}")
                process.stdin.write_eof()
            while chunk := await process.stdout.read(CHUNK):
                output.add(chunk)
                if output.size > MAX_OUTPUT:
                    return Failure("facts", f"more than {MAX_OUTPUT} characters of output")
            status = (await process.wait()).exit_status
    except TimeoutError:
        return Failure("facts", f"not finished after {FACTS_SECONDS} s; its last line was {output.last}")
    except Exception as error:  # whatever the other side sends is the failure of this host alone
        return Failure("facts", f"the connection broke ({describe(error)}); its last line was {output.last}")
    facts = parse_facts("\n".join(output.lines))
    if not facts.complete:
        return Failure("facts", f"exit status {status}; its last line was {output.last}")
    if wrong := next(filter(None, map(malformed, facts.values.keys(), facts.values.values())), ""):
        return Failure("facts", wrong)
    peer = ""
    with suppress(TypeError, IndexError):
        peer = str(connection.get_extra_info("peername")[0])
    return Answer(facts, output.clock, peer)


@dataclass
class _Output:
    """What a machine has printed so far."""

    started: float = 0.0
    """When the script was started."""
    lines: list[str] = field(default_factory=lambda: [""])
    """Its lines; the last may be incomplete."""
    size: int = 0
    clock: Clock | None = None

    def add(self, chunk: str) -> None:
        """Adds a chunk of output, which arrives now."""
        self.size += len(chunk)
        first, *others = chunk.split("\n")
        self.lines[-1] += first
        for line in others:
            self.clock = self.clock or _clock(self.lines[-1], self.started)
            self.lines.append(line)

    @property
    def last(self) -> str:
        """Its last line that is not empty, for a message."""
        printed = next((line.strip() for line in reversed(self.lines) if line.strip()), "")
        return f"'{escape(' '.join(printed.split()), 120)}'" if printed else "empty"


def _clock(line: str, started: float) -> Clock | None:
    """The machine's clock from the first line of facts.sh, which arrives now; it was asked for at
    `started`."""
    name, _, value = line.strip().partition("\t")
    if name != "time" or not NUMBER.pattern.fullmatch(value):
        return None
    return Clock(earliest=int(value) - time.time(), latest=int(value) + 1 - started)
