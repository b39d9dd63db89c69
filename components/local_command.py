"""Commands on the computer that runs Pulumi."""

from collections.abc import Mapping
from typing import Literal

import pulumi
from pulumi_command import local

from k3sgpu.handoff.environment import split_variable


def local_command(
    name: str,
    subcommand: str,
    environment: Mapping[str, pulumi.Input[str]],
    stdin: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    runs_on: Literal["create", "update"] = "create",
    delete: str | None = None,
    remembers: bool = False,
    secret_output: bool = False,
) -> local.Command:
    """A Command that runs `python -m k3sgpu <subcommand>` when it is created and when its inputs change.

    k3sgpu/run.sh picks the interpreter: its path would differ between computers, and be an update on each.
    `environment` is visible in the state; secrets go through `stdin`. With `runs_on` update it does not run
    when it is created. `delete` is the subcommand that runs when it is deleted. If it `remembers`, its next
    run finds its stdout in PULUMI_COMMAND_STDOUT, and it is not shown; with `secret_output` it is a secret.
    """
    command = _command(subcommand)
    secret = pulumi.ResourceOptions(additional_secret_outputs=["stdout"] if secret_output else None)
    return local.Command(
        name,
        create=command if runs_on == "create" else None,
        update=command if runs_on == "update" else None,
        delete=_command(delete) if delete else None,
        environment=_split_long_texts(environment),
        stdin=pulumi.Output.secret(stdin),
        add_previous_output_in_env=remembers,
        logging=local.Logging.STDERR if remembers else None,
        opts=pulumi.ResourceOptions.merge(opts, secret),
    )


def _command(subcommand: str) -> str:
    return f"sh k3sgpu/run.sh {subcommand}"


def _split_long_texts(environment: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """Splits texts that are too long for one variable. An Output, whose length is not known, stays whole."""
    variables: dict[str, pulumi.Input[str]] = {}
    for name, value in environment.items():
        variables.update(split_variable(name, value) if isinstance(value, str) else {name: value})
    return variables
