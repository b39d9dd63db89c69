"""The project's own programs beside the graph: on the computer that runs Pulumi, in its folder."""

from collections.abc import Mapping
from typing import Literal

import pulumi
from pulumi_command import local


def local_program(
    name: str,
    run: str,
    told: Mapping[str, pulumi.Input[str]],
    stdin: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    at: Literal["create", "update"] = "create",
) -> local.Command:
    """A Command that runs `python -m <run>` when it is created and whenever its inputs change.

    `told` is its environment, which the state shows; what is secret goes through `stdin`. With `at` update it
    does not run when it is created: at first there is nothing to do.
    """
    command = f".venv/bin/python -m {run}"
    return local.Command(
        name,
        create=command if at == "create" else None,
        update=command if at == "update" else None,
        environment=told,
        stdin=pulumi.Output.secret(stdin),
        add_previous_output_in_env=False,
        opts=opts,
    )
