"""Pulumi's own engine on this project's own program, with everything it keeps under one folder.

The Automation API runs `__main__.py` as an inline program, so the engine is all that is needed: no
language plugin, no account. State lies in `file://`, secrets behind a passphrase made here.
"""

import gc
import json
import os
import runpy
import secrets
import shutil
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
CONFIGURED = ("preview", "up", "refresh", "destroy")  # the operations that read a stack file
ROOT = Path(__file__).resolve().parents[2]
EventListener = Callable[[automation.EngineEvent], Any]


class EngineFailed(Exception):
    """An operation of the engine failed. Its text is what the engine said, shown already."""


@dataclass(frozen=True)
class Engine:
    """One stack. `folder` holds its state, passphrase and a copy of its stack file; `path` is put in
    front of PATH, for helm; `program` is another one than the project's. `secrets` are the stack's secret
    keys in plain text, which the engine encrypts."""

    stack: str
    stack_file: Path
    folder: Path
    pulumi: Path
    path: tuple[Path, ...] = ()
    program: Callable[[], Any] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    on_command: Callable[[str, float, float], Any] | None = None
    """Hears of each command of the CLI: its name, and when it began and ended (seconds since the epoch)."""

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
        """What an `up` would do: counts by operation; with `refresh`, after a look at what is there now.
        Raises EngineFailed, also for what a policy forbids."""
        packs = [str(policy_pack)] if policy_pack else None
        seen = self._run("preview", show, policy_packs=packs, on_event=on_event, refresh=refresh or None)
        return {str(k): v for k, v in seen.change_summary.items()}

    def up(
        self,
        show: Callable[[str], Any] = print,
        targets: Sequence[str] = (),
        on_event: EventListener | None = None,
    ) -> Mapping[str, int]:
        """Makes it so, or `targets` of it (URNs with wildcards): counts by operation. Raises EngineFailed.
        `on_event` hears the engine's events as they come."""
        done = self._run("up", show, target=list(targets) or None, on_event=on_event)
        return done.summary.resource_changes or {}

    def refresh(
        self, show: Callable[[str], Any] = print, on_event: EventListener | None = None
    ) -> Mapping[str, int]:
        """The state learns what is there: counts by operation. Raises EngineFailed."""
        return self._run("refresh", show, on_event=on_event).summary.resource_changes or {}

    def destroy(
        self, show: Callable[[str], Any] = print, on_event: EventListener | None = None
    ) -> Mapping[str, int]:
        """Takes everything away: counts by operation. Raises EngineFailed."""
        return self._run("destroy", show, on_event=on_event).summary.resource_changes or {}

    def create_stack(self) -> None:
        """The stack exists from now on, if without anything in it."""
        self._stack(refresh=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's exports, secrets in plain text."""
        return {name: output.value for name, output in self._stack(refresh=False).outputs().items()}

    def state(self) -> str:
        """The checkpoint as it lies on the disk: secrets are encrypted."""
        return (self.folder / "backend/.pulumi/stacks" / PROJECT / f"{self.stack}.json").read_text()

    def exists(self) -> bool:
        """Whether this stack was ever brought up here."""
        return (self.folder / "backend/.pulumi/stacks" / PROJECT / f"{self.stack}.json").exists()

    def _run(self, operation: str, show: Callable[[str], Any], **options: Any) -> Any:
        def listen(line: str) -> None:
            show(line.rstrip("\n"))

        self._forget_stale_locks(show)
        use_own_grpc_connections()
        # A program that failed leaves a coroutine of the SDK, which stops the callbacks of the loop it ends
        # in. It ends here, where no loop runs: the collector would find it in the middle of the run to come.
        gc.collect()
        try:
            return getattr(self._stack(operation != "destroy"), operation)(
                on_output=listen, on_error=listen, **options
            )
        except automation.CommandError:
            reasons = f"pulumi {operation} --stack {self.stack} failed; its reasons are above"
            raise EngineFailed(reasons) from None

    def _forget_stale_locks(self, show: Callable[[str], Any]) -> None:
        """Takes away what killed runs have left; this run finds and finishes their work on the machines.
        A run takes a lock on its stack and removes it when it ends."""
        locks = list((self.folder / "backend/.pulumi/locks").rglob(f"{self.stack}/*.json"))
        if locks and not any(running(lock) for lock in locks):
            show("an earlier run was killed; its lock is removed")
            self._cli("cancel", "--yes", "--stack", self.stack)

    def _stack(self, refresh: bool) -> automation.Stack:
        config_file = self._prepare(refresh)
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

    def _prepare(self, refresh: bool) -> Path:
        """The stack exists in the backend, and a copy of its stack file lies in this folder, made anew to
        `refresh`: what there is can be destroyed whatever has become of the file.

        A copy, because the engine writes the salt of the passphrase into the stack file, and the
        original belongs to its author."""
        project = self.folder / "project"
        project.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "backend").mkdir(exist_ok=True)
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(32))
        shutil.copy(ROOT / "Pulumi.yaml", project / "Pulumi.yaml")
        copy = project / f"Pulumi.{self.stack}.yaml"
        if refresh:
            kept = yaml.safe_load(copy.read_text()) if copy.exists() else {}
            copy.write_text(yaml.safe_dump({**kept, "config": self._config()}, sort_keys=False))
        if not self.exists():
            self._cli("stack", "init", self.stack)
        if refresh:
            for key, text in self.secrets.items():
                self._cli("config", "set", "--secret", "--stack", self.stack, key, given=text)
        return copy

    def _config(self) -> dict[str, Any]:
        """What the stack file configures. Raises EngineFailed for secrets: their passphrase is another."""
        config = yaml.safe_load(self.stack_file.read_text())["config"]
        locked = sorted(key for key, value in config.items() if isinstance(value, dict) and "secure" in value)
        if locked:
            raise EngineFailed(
                f"{self.stack_file.name}: {', '.join(locked)}: found a value encrypted for another backend; "
                "a rehearsal has a passphrase of its own.\nRehearse a copy of the file without it; "
                "for sshPrivateKey write ssh.privateKeyFile instead."
            )
        return config

    def _cli(self, *arguments: str, given: str | None = None) -> None:
        done = subprocess.run(
            [self.pulumi, *arguments, "--non-interactive"],
            cwd=self.folder / "project",
            env={**os.environ, **self._environment(), "PULUMI_HOME": str(self.home)},
            input=given,
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
            # The command plugin dials every agent that is named here, and fails on one that is gone.
            "SSH_AUTH_SOCK": "",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # Installs mostly wait; the default, four for every core, would queue them on small machines.
            "PULUMI_PARALLEL": "32",
        }


class _Command(automation.PulumiCommand):
    """The CLI, made to read and write the copy of the stack file and never the original."""

    config_file: Path
    ended: Callable[[str, float, float], Any] | None = None

    def run(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str], *rest: Any, **options: Any
    ) -> automation.CommandResult:
        name, began = args[0], time.time()
        if name in CONFIGURED:
            args = [*args, "--config-file", str(self.config_file)]
        else:
            cwd = str(self.config_file.parent)
        try:
            return super().run(args, cwd, additional_env, *rest, **options)
        finally:
            if self.ended:
                self.ended(name, began, time.time())


def running(lock: Path) -> bool:
    """Whether the process that took this lock still runs on this computer."""
    return Path(f"/proc/{json.loads(lock.read_text())['pid']}").exists()


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def use_own_grpc_connections() -> None:
    """A run's connections to its engine are its own.

    gRPC shares connections by address within a process. A program that failed may keep one to an engine that
    has ended; when a later engine gets the same port, gRPC still waits there before it tries again, and the
    SDK says "Resource monitor has terminated". The SDK offers no public way to set this option.
    """
    own = ("grpc.use_local_subchannel_pool", 1)
    if own not in CHANNEL_OPTIONS:
        CHANNEL_OPTIONS.append(own)
