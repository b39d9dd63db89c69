"""The policy pack: the rules as the engine's analyzer. Run by `pulumi preview --policy-pack policy`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (  # pyright: ignore[reportMissingImports] (the pack has a venv of its own)
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError  # pyright: ignore[reportMissingImports]
from rules import RULES, UNKNOWN, Planned, Rule

EXCEPT = PolicyConfigSchema(properties={"except": {"type": "array", "items": {"type": "string"}}})
"""Names of resources that a rule is waived for."""


def policy(rule: Rule) -> ResourceValidationPolicy:
    """A rule as the SDK wants it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.name in (args.get_config() or {}).get("except", []):
            return
        provider = args.provider and args.provider.name
        planned = Planned(
            args.urn,
            args.resource_type,
            args.name,
            known(args.props),
            bool(args.opts.protect),
            provider,
            args.opts.ignore_changes or (),
        )
        for wrong in rule.check(planned):
            report(f"{args.name} {wrong}.\n{rule.reason}", None)

    return ResourceValidationPolicy(
        name=rule.name, description=rule.reason, validate=validate, config_schema=EXCEPT
    )


def known(value: Any) -> Any:
    """Plain values; the SDK's own raise at every touch of one that is not known yet."""
    if isinstance(value, Mapping):
        return {key: _entry(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_entry(value, index) for index in range(len(value))]
    return value


def _entry(holder: Any, key: Any) -> Any:
    try:
        return known(holder[key])
    except UnknownValueError:
        return UNKNOWN


PolicyPack("k3s-gpu-sharing", [policy(rule) for rule in RULES], EnforcementLevel.MANDATORY)
