"""What an entry of the catalogue is, and the life that it happens in."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rehearsal.faults import inject
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import Stage, eventually
from rehearsal.lab.machine_records import Booted
from rehearsal.process import RehearsalError
from rehearsal.toolchain.golang import K3S_RELEASES

SERVER, AGENT = "server-1", "gpu-1"
When = Literal["preview", "first up", "change", "refresh", "upgrade", "destroy"]
Setting = Literal["bare", "whole"]
WATCH_SECONDS = 120
SOON = {"k3s": ("startTimeoutSeconds", 15), "gpuOperator": ("readyTimeoutSeconds", 20)}
CONFIGURED = "/etc/rancher/k3s/config.yaml"  # the first that a script writes for k3s
KILLED_SAYS = "an earlier run was killed; its lock is taken away"

_RUN = (
    "import sys; from pathlib import Path\n"
    "from rehearsal import toolbox; from rehearsal.site import Site\n"
    "tools, site = toolbox.prepare(), Site(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))\n"
    "{'up': lambda: site.up(tools), 'destroy': lambda: site.engine(tools).destroy()}[sys.argv[4]]()"
)


@dataclass
class Life:
    """A stage with its machines, and what happens beside an operation."""

    stage: Stage
    booted: dict[str, Booted]
    secrets: dict[str, str] = field(default_factory=dict)
    """The stack's secret keys, as its site has them: what is changed here the next operation has."""
    beside: list[threading.Thread] = field(default_factory=list)
    trouble: list[BaseException] = field(default_factory=list)

    def __getitem__(self, host: str) -> Booted:
        return self.booted[host]

    @property
    def config(self) -> dict:
        return self.stage.config

    def on(self, host: str, command: str) -> str:
        """Runs a shell command on a machine as root, past its SSH; its stdout."""
        return inject.inside(self.booted[host], command)

    @contextlib.contextmanager
    def impatient(self, section: Literal["k3s", "gpuOperator"] = "k3s") -> Iterator[None]:
        """Meanwhile k3s, or the operator's slices, are not waited for as long as otherwise: where they cannot
        come."""
        key, seconds = SOON[section]
        self.config[section][key] = seconds
        yield
        del self.config[section][key]

    @contextlib.contextmanager
    def instead(self, host: str, unit: str, command: str) -> Iterator[None]:
        """Meanwhile a unit of systemd starts another command than its own, and k3s is not waited for long."""
        with (
            self.impatient(),
            inject.drop_in(self[host], unit, f"NotifyAccess=all\nExecStart=\nExecStart={command}"),
        ):
            yield

    @contextlib.contextmanager
    def without_api(self) -> Iterator[None]:
        """Meanwhile no API server runs."""
        self.on(SERVER, "systemctl stop k3s")
        yield
        self.on(SERVER, "systemctl start k3s")

    def generation(self) -> None:
        """What makes the next `up` go to every machine."""
        self.config["k3s"]["generation"] = self.config["k3s"].get("generation", 0) + 1

    def next_release(self) -> bool:
        """The stack file names the k3s release after its present one; False: there is none."""
        later = K3S_RELEASES[K3S_RELEASES.index(self.config["k3s"]["version"]) + 1 :]
        if later:
            self.config["k3s"]["version"] = later[0]
        return bool(later)

    def meanwhile(self, what: str, look: Callable[[], object], act: Callable[[], object]) -> None:
        """While the operation that follows runs: as soon as `look` is true, `act`."""

        def watch() -> None:
            try:
                eventually(what, lambda: quietly(look), WATCH_SECONDS)
                act()
            except BaseException as error:
                self.trouble.append(error)

        self.beside.append(threading.Thread(target=watch, daemon=True))
        self.beside[-1].start()

    def settled(self) -> None:
        """Everything of `meanwhile` has happened. Raises what it raised."""
        while self.beside:
            self.beside.pop().join(WATCH_SECONDS)
        if self.trouble:
            raise self.trouble.pop()

    def killed(self, what: str, look: Callable[[], object], operation: str = "up") -> None:
        """An `up`, or a `destroy`, that is killed with all of its processes as soon as `look` is true."""
        self.stage.write()
        site = self.stage.site
        run = subprocess.Popen(
            [sys.executable, "-c", _RUN, site.stack, site.stack_file, site.state, operation],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            eventually(what, lambda: quietly(look) or run.poll() is not None, WATCH_SECONDS)
            assert run.poll() is None, f"the run had ended before {what}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            eventually("the run's processes to be gone", lambda: not group_exists(run.pid), WATCH_SECONDS)

    def there(self, host: str, path: str) -> Callable[[], bool]:
        """A look at whether a file is there."""
        return lambda: inject.exists(self.booted[host], path)

    def slices(self) -> str:
        """What the GPU node offers."""
        return self.stage.get("node", AGENT)["status"]["allocatable"].get("nvidia.com/gpu", "0")

    def boot(self) -> None:
        """Machines that are off are on again."""
        self.booted = self.stage.machines_up()


def quietly(look: Callable[[], object]) -> object:
    """What `look` sees; nothing while the machine cannot be asked."""
    try:
        return look()
    except RehearsalError:
        return None


def group_exists(group: int) -> bool:
    """Whether any process of a group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


Deed = Callable[[Life], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """One entry. `deed` does it, yields while the operation of `when` runs, and then does what the message
    asks for; its docstring says in words what is done.
    """

    deed: Deed
    source: str
    """The deed's own text, as it was when this program began."""
    area: str
    when: When
    seen: Sequence[str]
    """Regular expressions; all are found in what the engine says."""
    within: int
    """Seconds from the operation's beginning to its end, on a busy two-core machine."""
    healed: str
    refused: bool = True
    """Whether the operation fails. Otherwise it goes through, which is its healing."""
    setting: Setting = "bare"
    """Whether the stack has the operator, slices and a workload or is a bare cluster."""

    @property
    def name(self) -> str:
        return self.deed.__name__.replace("_", "-")

    @property
    def done(self) -> str:
        return " ".join((self.deed.__doc__ or "").split())

    @property
    def stamp(self) -> str:
        """What a result belongs to: another text of the entry is another stamp."""
        rest = (self.area, self.when, *self.seen, self.within, self.healed, self.refused, self.setting)
        return hashlib.sha256(f"{self.source}{rest}".encode()).hexdigest()[:8]


def fault(
    area: str,
    when: When,
    *seen: str,
    within: int,
    healed: str,
    refused: bool = True,
    setting: Setting = "bare",
) -> Callable[[Deed], Fault]:
    """Makes an entry of the catalogue of a deed."""
    return lambda deed: Fault(
        deed, inspect.getsource(deed), area, when, seen, within, healed, refused, setting
    )
