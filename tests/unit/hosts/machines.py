"""A simulated machine: its files are below a folder, and this computer's shells run its scripts."""

import asyncio
import fcntl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

VERSION = "v1.36.2+k3s1"
PATHS = ("/usr/local/", "/etc/k3s-gpu-sharing", "/etc/systemd", "/etc/rancher", "/run/", "/var/lib/rancher")
"""Those of this program and of k3s."""


@dataclass
class Machine:
    """`folder` is its root, `shell` its sh, `ran` the scripts that it was sent."""

    folder: Path
    shell: str = "sh"
    stalls: bool = False
    """Whether it accepts nothing more after the first script."""
    says: str = ""
    """What its login shell prints before anything else."""
    hangs_up: bool = False
    """Whether the connection breaks when a script runs."""
    ran: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "run/lock").mkdir(parents=True)

    @property
    def lib(self) -> Path:
        return self.folder / "usr/local/lib/k3s-gpu-sharing"

    @property
    def release(self) -> Path:
        return self.lib / "release" / VERSION

    def releases(self) -> dict[str, bytes]:
        """Its releases' files, by path below their folder."""
        top = self.lib / "release"
        return {
            str(file.relative_to(top)): file.read_bytes()
            for file in top.rglob("*")
            if file.is_file() and file.name not in ("source", "complete", "log")
        }

    def install(self, version: str, unit: bool = True) -> None:
        """Puts a k3s of `version` there."""
        k3s = self.folder / "usr/local/bin/k3s"
        k3s.parent.mkdir(parents=True, exist_ok=True)
        k3s.write_text(f"#!/bin/sh\necho k3s version {version}\n")
        k3s.chmod(0o755)
        if unit:
            (self.folder / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
            (self.folder / "etc/systemd/system/k3s-agent.service").write_text("unit")

    def wait_for_download(self) -> None:
        """Waits until nobody holds the lock of the release."""
        with (self.folder / "run/lock/k3s-gpu-sharing-release.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def with_own_paths(self, script: str) -> str:
        """A script with this machine's paths in place of the computer's."""
        for path in PATHS:
            script = script.replace(path, f"{self.folder}{path}")
        return script

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        script = self.with_own_paths(process.command or "")
        self.ran.append(script)
        process.stdout.write(self.says.encode())
        if self.stalls and len(self.ran) > 1:
            await asyncio.sleep(60)
        if self.hangs_up:
            process.channel.get_connection().abort()
            return
        # First: asyncio never ends when the connection breaks while it starts a process.
        stdin = await process.stdin.read()
        local = await asyncio.create_subprocess_exec(
            *self.shell.split(), "-c", script,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert local.stdin and local.stdout and local.stderr
        local.stdin.write(stdin)
        local.stdin.close()
        while line := await local.stdout.readline():
            process.stdout.write(line)
        process.stderr.write(await local.stderr.read())
        process.exit(await local.wait())
