"""Rules of an operator that was installed by hand and taken over: its values stay as they were found."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.models.names import NO_SHARING
from k3sgpu.settings.pydantic_errors import show
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.settings.rules.sharing import card_pools

TAKE_OUT = (
    "remove gpuOperator.adopted (the program then sets its own values, and pods of the operator start again)"
)


def adopted_release_is_named(draft: Draft) -> Iterator[Problem]:
    """Refuse an adopted operator without its release and version: the defaults may be other ones."""
    operator, written = draft.settings.gpu_operator, draft.section("gpuOperator")
    if not operator.adopted:
        return
    for key in ("release", "version"):
        if key not in written:
            yield Problem(
                f"gpuOperator.{key}",
                "nothing, beside adopted: true",
                f"the {key} that was installed by hand",
                "write what this command shows: helm list --namespace gpu-operator",
            )


def adopted_values_agree(draft: Draft) -> Iterator[Problem]:
    """Refuse driver, toolkit or removeCrds that the values of an adopted operator contradict."""
    operator = draft.settings.gpu_operator
    if not operator.adopted or not draft.intact("gpuOperator"):
        return
    for section, written in (("driver", operator.driver), ("toolkit", operator.toolkit)):
        by_operator = _at(operator.values, section, "enabled") is not False
        if by_operator != (written == "operator"):
            right = "operator" if by_operator else "host"
            yield Problem(
                f"gpuOperator.{section}",
                f"{written}, beside adopted: true and values by which the {section} comes from the {right}",
                f"{right}: an adopted operator keeps its values",
                f"write {section}: {right}, or {TAKE_OUT}",
            )
    if operator.remove_crds and _at(operator.values, "operator", "cleanupCRD") is not True:
        yield Problem(
            "gpuOperator.removeCrds",
            "true, beside adopted: true",
            "false: an adopted operator keeps its values, which leave the CRDs",
            f"remove removeCrds, or {TAKE_OUT}",
        )


def adopted_names_have_an_operator(draft: Draft) -> Iterator[Problem]:
    """Refuse the names of an adopted sharing where the operator is not adopted."""
    operator, sharing = draft.settings.gpu_operator, draft.settings.sharing
    if sharing.adopted and not operator.adopted and draft.intact("gpuOperator"):
        yield Problem(
            "sharing.adopted",
            "names of an adopted sharing, without gpuOperator.adopted: true",
            "both, or none of the two",
            "remove sharing.adopted: the program then uses its own ConfigMap, and the pods of the device\n"
            "plugin start again; or write gpuOperator: {adopted: true}",
        )


def adopted_keys_are_distinct(draft: Draft) -> Iterator[Problem]:
    """Refuse keys of an adopted sharing that would stand for two configurations."""
    sharing = draft.settings.sharing
    if not sharing.adopted:
        return
    first: dict[str, str] = {}
    for generated, key in sharing.adopted.keys.items():
        profile = generated.rpartition("-")[0]
        taken = first.setdefault(key, generated)
        where = f"sharing.adopted.keys.{generated}"
        if taken != generated:
            yield Problem(
                where, f"{key}, as for {taken}", "a key of its own", "remove one of the two entries"
            )
        elif key == NO_SHARING:
            yield Problem(
                where,
                key,
                f"another key: {NO_SHARING} is the program's, for cards that are not shared",
                "give the configuration another key in the ConfigMap, and in the labels of the nodes",
            )
        elif key == sharing.adopted.default and profile != sharing.default:
            yield Problem(
                where,
                f"{key}, which is the ClusterPolicy's default, and sharing.default: {sharing.default}",
                f"sharing.default: {profile}: the default has the configuration of sharing.default",
                f"write sharing.default: {profile}",
            )


def adopted_strategy_fits_profiles(draft: Draft) -> Iterator[Problem]:
    """Refuse partitions under an adopted operator whose values override the profiles' migStrategy."""
    settings = draft.settings
    strategy = settings.gpu_operator.mig_strategy
    if strategy is None:
        return
    for pool, gpu, profile in card_pools(settings):
        if gpu.mig or profile.mig_strategy:
            yield Problem(
                f"pools.{pool}.gpu.profile",
                f"partitions, and {show(strategy)} as mig.strategy of the adopted operator",
                'mig: {strategy: ""}: any other value overrides the profiles',
                TAKE_OUT,
            )


def _at(values: Mapping[str, Any], section: str, key: str) -> Any:
    found = values.get(section)
    return found.get(key) if isinstance(found, Mapping) else None
