"""Pulumi's engine, running this project's program, with all of its files in one folder.

The Automation API runs `__main__.py` as an inline program, so only the engine is needed: no language plugin
and no account. The state is in a `file://` backend, its secrets are encrypted with a passphrase made here.
"""

import gc
import json
import os
import re
import runpy
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS as CHANNEL_OPTIONS

PROJECT = "k3s-gpu-sharing"
WITH_STACK_FILE = ("preview", "up", "refresh", "destroy")  # operations that read a stack file
ROOT = Path(__file__).resolve().parents[2]
EventListener = Callable[[automation.EngineEvent], Any]


class EngineFailed(Exception):
    """An operation of the engine failed. The engine's reasons were printed already."""


@dataclass(frozen=True)
class Engine:
    """The engine of one stack.

    `folder` holds its state, passphrase and a copy of its stack file. `path` is put in front of PATH, for
    helm. `program` replaces the project's program. `secrets` are the stack's secret keys in plain text, which
    the engine encrypts.
    """

    stack: str
    stack_file: Path
    folder: Path
    pulumi: Path
    path: tuple[Path, ...] = ()
    program: Callable[[], Any] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    on_command: Callable[[str, float, float], Any] | None = None
    """Is called after each command of the CLI with its name, start and end (seconds since the epoch)."""

    @property
    def home(self) -> Path:
        """The engine's PULUMI_HOME."""
        return self.folder / "home"

    def preview(
        self,
        show: Callable[[str], Any] = print,
        policy_pack: Path | None = None,
        on_event: EventListener | None = None,
        refresh: bool = False,
    ) -> Mapping[str, int]:
        """Runs a preview, with `refresh` after comparing the state with reality: resources by operation.

        Raises EngineFailed, also when a policy is violated.
        """
        packs = [str(policy_pack)] if policy_pack else None
        seen = self._run("preview", show, policy_packs=packs, on_event=on_event, refresh=refresh or None)
        return {str(k): v for k, v in seen.change_summary.items()}

    def up(
        self,
        show: Callable[[str], Any] = print,
        targets: Sequence[str] = (),
        on_event: EventListener | None = None,
    ) -> Mapping[str, int]:
        """Runs an `up` of everything or of `targets` (URNs with wildcards): resources by operation.

        `on_event` gets the engine's events. Raises EngineFailed.
        """
        done = self._run("up", show, target=list(targets) or None, on_event=on_event)
        return done.summary.resource_changes or {}

    def refresh(
        self, show: Callable[[str], Any] = print, on_event: EventListener | None = None
    ) -> Mapping[str, int]:
        """Runs a refresh: resources by operation. Raises EngineFailed."""
        return self._run("refresh", show, on_event=on_event).summary.resource_changes or {}

    def destroy(
        self, show: Callable[[str], Any] = print, on_event: EventListener | None = None
    ) -> Mapping[str, int]:
        """Runs a destroy: resources by operation. Raises EngineFailed."""
        return self._run("destroy", show, on_event=on_event).summary.resource_changes or {}

    def create_stack(self) -> None:
        """Creates the stack without resources, if it does not exist."""
        self._stack(copy_stack_file=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in plain text."""
        return {name: output.value for name, output in self._stack(copy_stack_file=False).outputs().items()}

    def state(self) -> str:
        """The checkpoint file as it is on the disk, with encrypted secrets."""
        return (self.folder / "backend/.pulumi/stacks" / PROJECT / f"{self.stack}.json").read_text()

    def deployment(self) -> automation.Deployment:
        """The state with secrets in plain text, as `pulumi stack export --show-secrets` prints it."""
        return self._stack(copy_stack_file=False).export_stack()

    def import_deployment(self, deployment: automation.Deployment) -> None:
        """Replaces the state."""
        self._stack(copy_stack_file=False).import_stack(deployment)

    def forget(self) -> None:
        """Removes the state, and deletes nothing that is in it."""
        self._cli("stack", "rm", self.stack, "--force", "--preserve-config", "--yes")

    def exists(self) -> bool:
        """Whether this stack has a state here."""
        return (self.folder / "backend/.pulumi/stacks" / PROJECT / f"{self.stack}.json").exists()

    def _run(self, operation: str, show: Callable[[str], Any], **options: Any) -> Any:
        def listen(line: str) -> None:
            show(line.rstrip("\n"))

        self._remove_stale_locks(show)
        use_own_grpc_connections()
        # A failed program leaves a coroutine of the SDK. When it is collected, it stops the callbacks of the
        # event loop that runs then. So it is collected here, where no loop runs, and not in the middle of the
        # next run.
        gc.collect()
        try:
            return getattr(self._stack(operation != "destroy"), operation)(
                on_output=listen, on_error=listen, **options
            )
        except automation.CommandError as error:
            raise EngineFailed(describe_end(operation, self.stack, error)) from None
        finally:
            gc.enable()  # the program switches it off in its process, which is this one

    def _remove_stale_locks(self, show: Callable[[str], Any]) -> None:
        """Removes locks of killed runs. A run holds a lock on its stack until it ends."""
        locks = list((self.folder / "backend/.pulumi/locks").rglob(f"{self.stack}/*.json"))
        if locks and not any(is_held(lock) for lock in locks):
            show("an earlier run was killed; its lock is removed")
            self._cli("cancel", "--yes", "--stack", self.stack)

    def _stack(self, copy_stack_file: bool) -> automation.Stack:
        config_file = self._prepare(copy_stack_file)
        # The Automation API wants a folder with bin/pulumi in it.
        link = self.folder / "bin" / "pulumi"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(self.pulumi)
        command = _Command(root=str(self.folder))
        command.config_file, command.ended = config_file, self.on_command
        workspace = automation.LocalWorkspace(
            work_dir=str(ROOT),
            pulumi_home=str(self.home),
            program=self.program or _program,
            env_vars=self._environment(),
            pulumi_command=command,
        )
        return automation.Stack.select(self.stack, workspace)

    def _prepare(self, copy_stack_file: bool) -> Path:
        """Creates the stack in the backend and copies its stack file; returns the copy.

        The copy exists because the engine writes the passphrase's salt into the stack file, and the original
        belongs to its author. Without `copy_stack_file` the last copy is used: a destroy does not need the
        original.
        """
        project = self.folder / "project"
        project.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "backend").mkdir(exist_ok=True)
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(32))
        shutil.copy(ROOT / "Pulumi.yaml", project / "Pulumi.yaml")
        copy = project / f"Pulumi.{self.stack}.yaml"
        if copy_stack_file:
            kept = yaml.safe_load(copy.read_text()) if copy.exists() else {}
            copy.write_text(yaml.safe_dump({**kept, "config": self._config()}, sort_keys=False))
        if not self.exists():
            self._cli("stack", "init", self.stack)
        if copy_stack_file:
            for key, text in self.secrets.items():
                self._cli("config", "set", "--secret", "--stack", self.stack, key, stdin=text)
        return copy

    def _config(self) -> dict[str, Any]:
        """The configuration in the stack file. Raises EngineFailed for secrets encrypted with another
        passphrase.
        """
        config = yaml.safe_load(self.stack_file.read_text())["config"]
        locked = sorted(key for key, value in config.items() if isinstance(value, dict) and "secure" in value)
        if locked:
            raise EngineFailed(
                f"{self.stack_file.name}: {', '.join(locked)}: found a value encrypted for another backend; "
                "a rehearsal has a passphrase of its own.\nRehearse a copy of the file without it; "
                "for sshPrivateKey write ssh.privateKeyFile instead."
            )
        return config

    def _cli(self, *arguments: str, stdin: str | None = None) -> None:
        done = subprocess.run(
            [self.pulumi, *arguments, "--non-interactive"],
            cwd=self.folder / "project",
            env={**os.environ, **self._environment(), "PULUMI_HOME": str(self.home)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise EngineFailed(f"pulumi {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")

    def _environment(self) -> dict[str, str]:
        passphrase = self.folder / "passphrase"
        return {
            "PATH": os.pathsep.join([*map(str, self.path), os.environ.get("PATH", "")]),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": passphrase.read_text() if passphrase.exists() else "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Commands on this computer run in the environment of the rehearsal, wherever that is.
            "K3SGPU_PYTHON": sys.executable,
            # The command plugin connects to the SSH agent named here, and fails when it has ended.
            "SSH_AUTH_SOCK": "",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # Installs mostly wait; the default of four for each core would queue them on small computers.
            "PULUMI_PARALLEL": "32",
        }


class _Command(automation.PulumiCommand):
    """The CLI, which reads and writes the copy of the stack file and never the original."""

    config_file: Path
    ended: Callable[[str, float, float], Any] | None = None

    def run(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str], *rest: Any, **options: Any
    ) -> automation.CommandResult:
        name, began = args[0], time.time()
        if name in WITH_STACK_FILE:
            args = [*args, "--config-file", str(self.config_file)]
        else:
            cwd = str(self.config_file.parent)
        try:
            return super().run(args, cwd, additional_env, *rest, **options)
        finally:
            if self.ended:
                self.ended(name, began, time.time())


def describe_end(operation: str, stack: str, error: automation.CommandError) -> str:
    """How an operation of the engine ended: it has given its reasons, or a signal has ended it before."""
    command = f"pulumi {operation} --stack {stack}"
    status = re.match(r"\s*code: -(\d+)\n", str(error))  # as subprocess has it
    if not status:
        return f"{command} failed; its reasons are above"
    name = signal.Signals(int(status[1])).name
    return f"{command} was ended by {name} before it was done; run it again, and it goes on from there"


def is_held(lock: Path) -> bool:
    """Whether the process that holds this lock still runs on this computer."""
    return Path(f"/proc/{json.loads(lock.read_text())['pid']}").exists()


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def use_own_grpc_connections() -> None:
    """Gives each run its own connections to its engine.

    gRPC shares connections by address within a process. A failed program may keep a connection to an engine
    that has ended. When a later engine gets the same port, gRPC still waits before it reconnects, and the SDK
    reports "Resource monitor has terminated". The SDK has no public option for this.
    """
    own = ("grpc.use_local_subchannel_pool", 1)
    if own not in CHANNEL_OPTIONS:
        CHANNEL_OPTIONS.append(own)
