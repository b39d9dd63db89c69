"""Runs other programs, and defines the rehearsal's error."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SHOWN_LINES = 25


class RehearsalError(Exception):
    """The rehearsal cannot continue. The text says where, what was found, what is expected, and what to
    do.
    """


def run(
    command: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Runs `command` to its end and returns its stdout.

    `env` is added to this process's environment. Raises RehearsalError, with the end of what the command
    printed, when it cannot be started, exits non-zero or runs longer than `timeout` seconds.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise RehearsalError(f"cannot run {shlex.join(words)}: {error.strerror}: {error.filename}") from error
    except subprocess.TimeoutExpired as error:
        raise RehearsalError(
            f"{shlex.join(words)} had not finished after {timeout:.0f} s and was stopped"
        ) from error
    if done.returncode != 0:
        output = (done.stderr.strip() + "\n" + done.stdout.strip()).strip().splitlines()[-SHOWN_LINES:]
        raise RehearsalError(
            "\n  ".join([f"{shlex.join(words)} ended with exit code {done.returncode}:", *output])
        )
    return done.stdout
