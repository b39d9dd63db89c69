"""Where a fault happens: a rehearsed stack with its machines, and actions that run beside an operation."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rehearsal.faults import inject
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import StackFixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError
from rehearsal.toolchain.golang import K3S_RELEASES

SERVER, AGENT = "server-1", "gpu-1"
WATCH_SECONDS = 120
# By section of the stack file: the key that bounds its wait, and a value in seconds for waits that must fail.
SHORT_TIMEOUTS = {"k3s": ("startTimeoutSeconds", 15), "gpuOperator": ("readyTimeoutSeconds", 20)}
K3S_CONFIG = "/etc/rancher/k3s/config.yaml"  # the first file that converge writes for k3s
STALE_LOCK_MESSAGE = "an earlier run was killed; its lock is removed"

# A run of the engine in a process of its own, which can be killed.
RUN_IN_PROCESS = (
    "import sys; from pathlib import Path\n"
    "from rehearsal.toolchain import toolbox; from rehearsal.lab.stack import RehearsedStack\n"
    "tools, stack = toolbox.prepare(), RehearsedStack(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))\n"
    "{'up': lambda: stack.up(tools), 'destroy': lambda: stack.engine(tools).destroy()}[sys.argv[4]]()"
)


@dataclass
class FaultContext:
    """A stack with its machines, and what happens beside an operation."""

    cluster: StackFixture
    machines: dict[str, RunningMachine]
    secrets: dict[str, str] = field(default_factory=dict)
    """The stack's secret keys. The next operation uses what is changed here."""
    _watchers: list[threading.Thread] = field(default_factory=list)
    _errors: list[BaseException] = field(default_factory=list)

    def __getitem__(self, host: str) -> RunningMachine:
        return self.machines[host]

    @property
    def config(self) -> dict[str, Any]:
        """The stack's configuration, to change."""
        return self.cluster.config

    def run_on(self, host: str, command: str) -> str:
        """Runs a shell command on a machine as root without SSH, and returns its stdout."""
        return inject.inside(self.machines[host], command)

    @contextlib.contextmanager
    def short_timeouts(self, section: Literal["k3s", "gpuOperator"] = "k3s") -> Iterator[None]:
        """Shortens the wait for k3s, or for the operator's slices, within the block."""
        key, seconds = SHORT_TIMEOUTS[section]
        self.config[section][key] = seconds
        yield
        del self.config[section][key]

    @contextlib.contextmanager
    def replaced_command(self, host: str, unit: str, command: str) -> Iterator[None]:
        """Lets a systemd unit start `command` instead of k3s within the block, with short timeouts."""
        with (
            self.short_timeouts(),
            inject.drop_in(self[host], unit, f"NotifyAccess=all\nExecStart=\nExecStart={command}"),
        ):
            yield

    @contextlib.contextmanager
    def api_server_stopped(self) -> Iterator[None]:
        """Stops k3s on the server within the block."""
        self.run_on(SERVER, "systemctl stop k3s")
        yield
        self.run_on(SERVER, "systemctl start k3s")

    def raise_generation(self) -> None:
        """Raises k3s.generation, so that the next `up` runs converge on every machine."""
        self.config["k3s"]["generation"] = self.config["k3s"].get("generation", 0) + 1

    def select_next_release(self) -> None:
        """Sets k3s.version to the release after the present one, if there is one."""
        later = K3S_RELEASES[K3S_RELEASES.index(self.config["k3s"]["version"]) + 1 :]
        if later:
            self.config["k3s"]["version"] = later[0]

    def during_operation(self, what: str, check: Callable[[], object], act: Callable[[], object]) -> None:
        """Runs `act` in a thread as soon as `check` is true, while the next operation runs."""

        def watch() -> None:
            try:
                wait_until(what, lambda: none_on_error(check), WATCH_SECONDS)
                act()
            except BaseException as error:
                self._errors.append(error)

        self._watchers.append(threading.Thread(target=watch, daemon=True))
        self._watchers[-1].start()

    def wait_for_watchers(self) -> None:
        """Waits for all actions of `during_operation`. Raises what one of them raised."""
        while self._watchers:
            self._watchers.pop().join(WATCH_SECONDS)
        if self._errors:
            raise self._errors.pop()

    def kill_run_when(
        self, what: str, check: Callable[[], object], operation: str = "up", survivors: str = ""
    ) -> None:
        """Starts an `up` or a `destroy`, and kills its processes as soon as `check` is true.

        `survivors`: a regular expression for command lines; their processes are waited for instead.
        """
        self.cluster.write_stack_file()
        stack = self.cluster.stack
        run = subprocess.Popen(
            [sys.executable, "-c", RUN_IN_PROCESS, stack.name, stack.stack_file, stack.state, operation],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(what, lambda: none_on_error(check) or run.poll() is not None, WATCH_SECONDS)
            assert run.poll() is None, f"the run ended before {what}"
        finally:
            kill_session(run.pid, survivors)
            run.wait()
            wait_until(
                "the run's processes to end", lambda: not kill_session(run.pid, survivors), WATCH_SECONDS
            )

    def file_exists(self, host: str, path: str) -> Callable[[], bool]:
        """A check for a file on a machine."""
        return lambda: inject.exists(self.machines[host], path)

    def allocatable_slices(self) -> str:
        """The number of nvidia.com/gpu that the GPU node has allocatable."""
        return self.cluster.get("node", AGENT)["status"]["allocatable"].get("nvidia.com/gpu", "0")

    def start_machines(self) -> None:
        """Boots the machines that are off, and the new ones of the configuration."""
        self.machines = self.cluster.start_machines()


def none_on_error(check: Callable[[], object]) -> object:
    """What `check` returns; None while the machine or the API server does not answer."""
    try:
        return check()
    except RehearsalError:
        return None


def kill_session(session: int, survivors: str) -> bool:
    """Kills the processes of a session, except those whose command line matches the regular expression.

    The engine gives each plugin a process group of its own, in its session. Returns whether it found any.
    """
    found = False
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            process = int(folder.name)
            command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
            if os.getsid(process) != session:
                continue
            found = True  # also a dead one that nobody has waited for: the engine's lock names it
            if not (survivors and re.search(survivors, command)):
                os.kill(process, signal.SIGKILL)
    return found
