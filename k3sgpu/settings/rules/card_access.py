"""The rule about pods without a slice, where the operator installs NVIDIA's container toolkit.

Where the hosts have the toolkit, doctor's check `card-access` looks at their own configuration, and nothing
looks at that of an existing cluster's Nodes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from k3sgpu.card_access import (
    ENVVAR,
    ENVVAR_OPTION,
    ENVVAR_VARIABLE,
    FIRST_WITH_CDI,
    MOUNTS_VARIABLE,
    STRATEGY_VARIABLE,
    is_true,
    operator_access,
    strategies,
    variables,
)
from k3sgpu.problem import Problem
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import RUNTIME_CLASS

VALUES = "gpuOperator.values"
CHECK = "card-access"
"""The name of doctor's check of the hosts' own toolkit."""


def only_slices_give_cards(draft: Draft) -> Iterator[Problem]:
    """Warn of values that give cards to pods without a slice; refuse those that hide them from slices.

    With teams the first are refused too: quotas and guarantees count slices.
    """
    operator = draft.settings.gpu_operator
    if operator.toolkit == "host" and draft.settings.kubeconfig and draft.settings.teams:
        yield _unseen_toolkit()
    if not operator.enabled or operator.toolkit != "operator" or not draft.intact("gpuOperator"):
        return
    access = operator_access(operator.version, operator.values, adopted=operator.adopted)
    if not access.with_slice:
        yield Problem(
            f"{VALUES}.devicePlugin",
            f"the strategy {', '.join(sorted(access.strategies))}, which the toolkit's variables refuse",
            "a strategy by which pods with a slice get their card and its driver",
            f"remove {STRATEGY_VARIABLE}, {ENVVAR_VARIABLE}\n"
            f"and {MOUNTS_VARIABLE}: the program sets what works",
        )
    elif access.without_slice:
        where, found, remedy = _what_opens(operator.version, operator.values, operator.adopted)
        teams = bool(draft.settings.teams)
        yield Problem(
            where,
            found,
            "cards for pods with a slice only: any other takes all cards of its node by the RuntimeClass\n"
            f"{RUNTIME_CLASS} and NVIDIA_VISIBLE_DEVICES=all, which the images of nvidia/cuda set",
            remedy
            + (",\nor remove teams: members could take slices that others are guaranteed" if teams else ""),
            severity="error" if teams else "warning",
        )


def _unseen_toolkit() -> Problem:
    return Problem(
        "gpuOperator.toolkit",
        "host, on Nodes where this program does not log in, beside teams",
        "a toolkit that gives cards to pods with a slice only, or members take slices that others are\n"
        "guaranteed",
        f"run on each Node with cards: sudo nvidia-ctk config --in-place --set {ENVVAR_OPTION}=false",
        severity="warning",
    )


def _what_opens(version: str, values: Mapping[str, Any], adopted: bool) -> tuple[str, str, str]:
    """The path and the value by which every pod gets at the cards, and what to do."""
    toolkit = variables(values, "toolkit")
    if is_true(toolkit.get(ENVVAR_VARIABLE, "false")):
        return (
            f"{VALUES}.toolkit.env",
            f"{ENVVAR_VARIABLE}={toolkit[ENVVAR_VARIABLE]}",
            "remove this variable: the program sets it to false",
        )
    if adopted and not operator_access(version, values).without_slice:
        return (
            "gpuOperator.adopted",
            "true: the program does not close the toolkit of an operator that it has taken over",
            "remove gpuOperator.adopted at a time when pods with cards may start again",
        )
    if strategies(version, {}) == {ENVVAR}:
        first = "v{}.{}".format(*FIRST_WITH_CDI)
        return (
            "gpuOperator.version",
            f"{version}, whose own pods need a toolkit that is open to all",
            f"write a version from {first} on; the program then closes it",
        )
    return (
        f"{VALUES}.devicePlugin",
        f"the strategy {ENVVAR}, which needs a toolkit that is open to all",
        f"remove {STRATEGY_VARIABLE} or --device-list-strategy: the program sets what works",
    )


def teams_do_not_waive_card_access(draft: Draft) -> Iterator[Problem]:
    """Refuse to skip the check of the hosts' toolkits beside teams: an open one gives members every card."""
    settings = draft.settings
    if not settings.teams:
        return
    places = {"doctor.waive": settings.doctor.waive, **{f"{n.place}.waive": n.waive for n in settings.nodes}}
    for place, waived in places.items():
        if CHECK in waived:
            yield Problem(
                place,
                f"{CHECK}, beside teams",
                "a check that is not skipped: with an open toolkit a pod without a slice takes every card",
                f"remove {CHECK}, and close the toolkit as doctor says",
            )
