"""Commands on the computer that runs Pulumi."""

from collections.abc import Mapping
from typing import Literal

import pulumi
from pulumi_command import local

from components.sdk_workarounds import split_variable


def local_command(
    name: str,
    subcommand: str,
    environment: Mapping[str, pulumi.Input[str]],
    stdin: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    runs_on: Literal["create", "update"] = "create",
    remembers: bool = False,
) -> local.Command:
    """A Command that runs `python -m k3sgpu <subcommand>` when it is created and when its inputs change.

    k3sgpu/run.sh picks the interpreter: its path would differ between computers, and be an update on each.
    `environment` is visible in the state; secrets go through `stdin`. With `runs_on` update it does not run
    when it is created. If it `remembers`, its next run finds its stdout in PULUMI_COMMAND_STDOUT; that stdout
    is a secret and is not shown.
    """
    command = f"sh k3sgpu/run.sh {subcommand}"
    secret = pulumi.ResourceOptions(additional_secret_outputs=["stdout"] if remembers else None)
    return local.Command(
        name,
        create=command if runs_on == "create" else None,
        update=command if runs_on == "update" else None,
        environment={
            key: part for variable in environment.items() for key, part in split_variable(*variable)
        },
        stdin=pulumi.Output.secret(stdin),
        add_previous_output_in_env=remembers,
        logging=local.Logging.STDERR if remembers else None,
        opts=pulumi.ResourceOptions.merge(opts, secret),
    )
