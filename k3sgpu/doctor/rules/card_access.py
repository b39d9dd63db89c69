"""The rule about pods without a slice, where the hosts have NVIDIA's container toolkit.

Where the operator installs it, the program sets its options, and the stack file's rules look at its values.
"""

from collections.abc import Iterator

from k3sgpu.card_access import (
    ENVVAR,
    ENVVAR_OPTION,
    FIRST_WITH_CDI,
    MOUNTS,
    MOUNTS_OPTION,
    STRATEGY_VARIABLE,
    CardAccess,
    needs_open_toolkit,
)
from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem
from k3sgpu.wellknown import RUNTIME_CLASS

HOST_TOOLKIT = "/usr/bin/nvidia-container-runtime"
CONFIG = "/etc/nvidia-container-runtime/config.toml"
_SET = "sudo nvidia-ctk config --in-place --set"


def card_access(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """Only pods with a slice get at a card, where the host has NVIDIA's container toolkit."""
    # The check `toolkit` is about a toolkit elsewhere.
    if not machine.gpu or plan.toolkit != "host" or machine.facts.one("toolkit") != HOST_TOOLKIT:
        return
    options = dict(line.split(" ", 1) for line in machine.facts.all("toolkit-option") if " " in line)
    access = CardAccess(
        plan.strategies,
        envvar=options.get(ENVVAR_OPTION, "true") == "true",
        mounts=options.get(MOUNTS_OPTION, "false") == "true",
    )
    if access.without_slice:
        yield _open(machine, plan, access)
    elif plan.strategies and not access.with_slice:
        yield _closed_to_all(machine, plan, access)


def _open(machine: Machine, plan: Plan, access: CardAccess) -> Problem:
    # Closing first would take the cards from pods with slices, or from the operator's own.
    wait = access.strategies == {ENVVAR} or (plan.strategies and needs_open_toolkit(plan.operator_version))
    first = f"{_other_strategy(plan)}, then pulumi up, then\n" if wait else ""
    return machine.problem(
        f"{ENVVAR_OPTION} is true in {CONFIG}, or not set:\n"
        f"a pod without a slice takes all cards of the machine by the RuntimeClass {RUNTIME_CLASS} and\n"
        "NVIDIA_VISIBLE_DEVICES=all, which the images of nvidia/cuda set",
        "false, so that only pods with a slice, and privileged ones, see a card",
        f'{first}{machine.ssh} "{_SET} {ENVVAR_OPTION}=false"\n'
        "it holds for new containers, without a restart; pods with slices keep their cards"
        + (
            ""
            if plan.teams
            else "\nor waive card-access, if everybody who may create pods may use every card"
        ),
        "error" if plan.teams else "warning",
    )


def _closed_to_all(machine: Machine, plan: Plan, access: CardAccess) -> Problem:
    option = f"{MOUNTS_OPTION} is not true" if MOUNTS in access.strategies else f"{ENVVAR_OPTION} is false"
    accept = f'or {machine.ssh} "{_SET} {MOUNTS_OPTION}=true"'
    return machine.problem(
        f"{option} in {CONFIG}, and the device plugin's\n"
        f"strategy is {', '.join(sorted(access.strategies))}: pods with a slice get no driver",
        "a strategy that the toolkit obeys",
        _other_strategy(plan) + (f"\n{accept}" if MOUNTS in access.strategies else ""),
    )


def _other_strategy(plan: Plan) -> str:
    if needs_open_toolkit(plan.operator_version):
        first = "v{}.{}".format(*FIRST_WITH_CDI)
        return (
            f"write a gpuOperator.version from {first} on: pods of the operator\n"
            f"{plan.operator_version} need a toolkit that is open to all"
        )
    return (
        f"remove cdi: {{enabled: false}} and {STRATEGY_VARIABLE} from gpuOperator.values: the operator then\n"
        "gives pods with slices their cards by CDI"
    )
