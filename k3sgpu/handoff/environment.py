"""Passes texts to a subprocess in environment variables, a long text in several: NAME, NAME_2, NAME_3, …"""

import os

MAX_CHARACTERS = 100_000
"""The longest text of one variable. Linux starts no program with a string of more than 128 KiB in its
environment (execve(2), MAX_ARG_STRLEN), and a cluster of some hundred nodes needs more. The same limits what
a Command passes to its next run: its output comes back as PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR."""


def split_variable(name: str, text: str) -> dict[str, str]:
    """The variables that hold `text`: `name`, and `name`_2 and so on where one is too short for it."""
    variables = {name: text[:MAX_CHARACTERS]}
    for number, start in enumerate(range(MAX_CHARACTERS, len(text), MAX_CHARACTERS), 2):
        variables[f"{name}_{number}"] = text[start : start + MAX_CHARACTERS]
    return variables


def read_variable(name: str) -> str:
    """The text that `split_variable` put into the environment; "" when `name` is not set."""
    parts = [os.environ.get(name, "")]
    while more := os.environ.get(f"{name}_{len(parts) + 1}"):
        parts.append(more)
    return "".join(parts)
