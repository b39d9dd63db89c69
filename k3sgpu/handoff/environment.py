"""What the program hands to a subprocess in environment variables."""

import os
from typing import Any

from k3sgpu.problem import InputError


def read_variable(variable: str) -> str:
    """What the Pulumi program says in `variable`, and in `variable`_2 and so on where one is too short for it
    (components/local_program.py); "" where it says nothing."""
    parts = [os.environ.get(variable, "")]
    while more := os.environ.get(f"{variable}_{len(parts) + 1}"):
        parts.append(more)
    return "".join(parts)


def fields(data: object, what: str, **wanted: type) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"{what} is {type(data).__name__}; a JSON object was expected")
    for name, kind in wanted.items():
        if not isinstance(data.get(name), kind):
            raise InputError(f"{what}: {name} is {data.get(name)!r}; expected: {kind.__name__}")
    return data
