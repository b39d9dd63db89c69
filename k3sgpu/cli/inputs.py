"""What commands read: the variables that the Pulumi program sets, files, the standard input."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from k3sgpu.handoff.environment import read_variable
from k3sgpu.problem import InputError

STDIN = "the standard input"
LARGEST = 256 * 1024 * 1024
"""Characters of a file: more than the Pods of the largest cluster that Kubernetes supports take."""


def read_json_variable(variable: str, by_hand: str = "") -> Any:
    """The JSON that the Pulumi program has put into an environment variable.

    `by_hand` is the command for a person, which the message names. Raises InputError when the variable is not
    set or holds no JSON.
    """
    text = read_variable(variable)
    if not text:
        advice = f" By hand: {by_hand}" if by_hand else ""
        raise InputError(
            f"{variable} is not set; the Pulumi program sets it when it starts this command.{advice}"
        )
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{variable} holds no JSON: {error}") from None


def read_text(file: str) -> tuple[str, str]:
    """The text of a file ("-": the standard input) and its name for messages. Raises InputError.

    A pipe is a file as well, so that a shell can hand over the output of a command.
    """
    name = STDIN if file == "-" else file
    try:
        if file == "-":
            text = sys.stdin.read(LARGEST + 1)
        else:
            with Path(file).expanduser().open(encoding="utf-8") as opened:
                text = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{name} cannot be read: {reason}") from None
    if len(text) > LARGEST:
        raise InputError(f"{name} cannot be read: it is larger than {LARGEST // 1024**2} MiB")
    return text, name


def stack_name(file: str) -> str:
    """The stack that a stack file belongs to. Raises InputError for a file of another name."""
    match = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", Path(file).name)
    if not match:
        raise InputError(f"{file} is not called Pulumi.<stack>.yaml, so the stack's name is unknown")
    return match[1]
