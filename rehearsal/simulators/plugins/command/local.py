"""Runs a script on this machine, as command:local:Command does."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import IO, Any

from rehearsal.simulators.plugins.command.output import Output
from rehearsal.simulators.plugins.server import Failure


def run(
    script: str, inputs: dict[str, Any], previous: dict[str, str], output: Output, cancelled: threading.Event
) -> None:
    """Runs `script` to its end; `previous` holds the outputs of the run before.

    Raises Failure with the exit status and what the script printed. There is no deadline, as in the official
    plugin: the script is stopped when the engine is (`cancelled`).
    """
    command = [*(inputs.get("interpreter") or ["/bin/sh", "-c"]), script]
    folder = inputs.get("dir") or None
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(inputs, previous),
            stdin=subprocess.PIPE if inputs.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        missing_folder = folder is not None and not os.path.isdir(folder)  # noqa: PTH112 - as given, unresolved
        at = f"chdir {folder}" if missing_folder else f"fork/exec {command[0]}"
        raise output.failure(f"{at}: {str(error.strerror).lower()}", script) from None
    finished = threading.Event()
    threads = [
        threading.Thread(target=_copy, args=(process.stdout, "stdout", output)),
        threading.Thread(target=_copy, args=(process.stderr, "stderr", output)),
        threading.Thread(target=_feed, args=(process.stdin, inputs.get("stdin") or "")),
    ]
    killer = threading.Thread(target=_kill_when, args=(process, cancelled, finished), daemon=True)
    for thread in (*threads, killer):
        thread.start()
    for thread in threads:
        thread.join()
    status = process.wait()
    finished.set()
    output.finish()
    if status != 0:
        raise _failure(status, script, output)


def _environment(inputs: dict[str, Any], previous: dict[str, str]) -> dict[str, str]:
    environment = os.environ | (inputs.get("environment") or {})
    if inputs.get("addPreviousOutputInEnv", True):
        for stream in ("stdout", "stderr"):
            if previous.get(stream):
                environment[f"PULUMI_COMMAND_{stream.upper()}"] = previous[stream]
    return environment


def _copy(source: IO[bytes], stream: str, output: Output) -> None:
    while data := os.read(source.fileno(), 65536):
        output.add(stream, data)
    source.close()


def _feed(target: IO[bytes] | None, text: str) -> None:
    if target is None:
        return
    try:
        target.write(text.encode())
        target.close()
    except BrokenPipeError:
        pass  # A script need not read what it is given.


def _kill_when(
    process: subprocess.Popen[bytes], cancelled: threading.Event, finished: threading.Event
) -> None:
    while not finished.wait(0.2):
        if cancelled.is_set():
            process.kill()
            return


def _failure(status: int, script: str, output: Output) -> Failure:
    if status < 0:
        return output.failure(f"signal: {_signal_name(-status)}", script)
    return output.failure(f"exit status {status}", script)


def _signal_name(number: int) -> str:
    """Go's words for the signals that end scripts."""
    return {1: "hangup", 2: "interrupt", 6: "aborted", 9: "killed", 13: "broken pipe", 15: "terminated"}.get(
        number, f"signal {number}"
    )
