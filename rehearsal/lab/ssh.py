"""Runs commands on a machine over SSH, with checked host keys, as the program does."""

from __future__ import annotations

import time
from pathlib import Path

from rehearsal import process
from rehearsal.lab import identity
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError

COMMAND_SECONDS = 60
START_SECONDS = 3  # after which a booting machine has a process


def run(
    machine: RunningMachine, command: str, timeout: float = COMMAND_SECONDS, stdin: str | None = None
) -> str:
    """Runs a shell `command` on `machine` as root and returns its stdout. Raises RehearsalError when it
    fails.
    """
    return process.run([*ssh_command(machine), command], timeout=timeout, stdin=stdin)


def ssh_command(machine: RunningMachine, connect_seconds: int = 5) -> list[str]:
    """The ssh command line for `machine`, to which a command is added: own key, strict host-key checking."""
    options = {
        "IdentityFile": identity.private_key(machine.state_dir),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": identity.known_hosts(machine.state_dir),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": connect_seconds,
        "LogLevel": "ERROR",
    }
    # -F: the user's own ssh configuration does not apply to these machines
    words = ["ssh", "-F", "/dev/null"]
    for option, value in options.items():
        words += ["-o", f'{option}="{value}"' if isinstance(value, Path) else f"{option}={value}"]
    return [*words, f"root@{machine.address}"]


def boot_id(machine: RunningMachine) -> str:
    """An id that changes with each boot. After a reboot, wait for another one and not for SSH."""
    return run(machine, "cat /proc/sys/kernel/random/boot_id").strip()


def wait_for_ssh(machine: RunningMachine, seconds: float) -> None:
    """Waits until a command runs on `machine` over SSH.

    Raises RehearsalError with the last error when that takes longer than `seconds`, or the machine ends
    before.
    """
    began = time.monotonic()
    # Where many machines boot, a login takes long: an attempt that is given up makes the next one longer.
    command = [*ssh_command(machine, connect_seconds=max(2, round(seconds / 30))), "true"]
    while True:
        try:
            process.run(command, timeout=max(10, seconds / 6))
            return
        except RehearsalError as error:
            last = str(error).splitlines()[-1].strip()
        waited = time.monotonic() - began
        ended = waited > START_SECONDS and not machine.running
        if ended or waited > seconds:
            why = "ended before SSH answered" if ended else f"did not answer over SSH within {seconds:.0f} s"
            raise RehearsalError(
                f"machine {machine.host} ({machine.address}) {why}; last error: {last}\n"
                f"  the end of its console, {machine.folder / 'console.log'}:\n{console(machine)}"
            )
        time.sleep(0.1)


def console(machine: RunningMachine, lines: int = 10) -> str:
    """The last `lines` of the console log of `machine`."""
    log = machine.folder / "console.log"
    rows = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return "\n".join(f"    {line}" for line in rows) or "    (nothing)"
