"""The project's own programs beside the graph: on the computer that runs Pulumi, in its folder."""

from collections.abc import Iterator, Mapping
from typing import Literal

import pulumi
from pulumi_command import local

LONGEST = 100_000
"""Characters of one variable. Linux starts no program with a longer string than 128 KiB in its environment
(execve(2)), and a cluster of some hundred nodes takes more to tell."""


def local_program(
    name: str,
    run: str,
    told: Mapping[str, pulumi.Input[str]],
    stdin: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    at: Literal["create", "update"] = "create",
    remembers: bool = False,
) -> local.Command:
    """A Command that runs `python -m <run>` when it is created and whenever its inputs change.

    `told` is its environment, which the state shows, a long text in several variables (NAME, NAME_2, …); what
    is secret goes through `stdin`. With `at` update it does not run when it is created: at first there is
    nothing to do. If it `remembers`, its stdout is for its own next run alone (PULUMI_COMMAND_STDOUT): a
    secret that is not shown.
    """
    command = f".venv/bin/python -m k3sgpu {run}"
    kept = pulumi.ResourceOptions(additional_secret_outputs=["stdout"] if remembers else None)
    return local.Command(
        name,
        create=command if at == "create" else None,
        update=command if at == "update" else None,
        environment={key: value for variable in told.items() for key, value in _pieces(*variable)},
        stdin=pulumi.Output.secret(stdin),
        add_previous_output_in_env=remembers,
        logging=local.Logging.STDERR if remembers else None,
        opts=pulumi.ResourceOptions.merge(opts, kept),
    )


def _pieces(name: str, value: pulumi.Input[str]) -> Iterator[tuple[str, pulumi.Input[str]]]:
    """A text that is too long for one variable, as several."""
    if not isinstance(value, str):
        yield name, value
        return
    yield name, value[:LONGEST]
    for number, start in enumerate(range(LONGEST, len(value), LONGEST), 2):
        yield f"{name}_{number}", value[start : start + LONGEST]
