"""Pieces of admission policies: literals and expressions of CEL, Kubernetes' expression language."""

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from k3sgpu.teams.manifest import Manifest, manifest

ADMISSION = "admissionregistration.k8s.io/v1"
Operation = Literal["CREATE", "UPDATE", "DELETE"]


class Rule(NamedTuple):
    """What a policy requires: an expression that must be true, and what to do where it is not."""

    expression: str
    message: str


def literal(value: object) -> str:
    """A plain value as CEL. JSON's strings, numbers, lists and mappings are literals of CEL, too."""
    return json.dumps(value, sort_keys=True)


def resources(group: str, names: Iterable[str], operations: Iterable[Operation]) -> dict[str, Any]:
    """A resource rule of a policy, for version v1 of the group."""
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": list(operations),
        "resources": list(names),
    }


def validating_policy(
    name: str,
    namespaces: dict[str, Any],
    matched: Iterable[dict[str, Any]],
    variables: dict[str, str],
    rules: Iterable[Rule],
    condition: str | None = None,
) -> tuple[Manifest, Manifest]:
    """A ValidatingAdmissionPolicy that refuses what breaks a rule, and its binding.

    `namespaces` is a label selector; with `condition` only requests for which it is true are judged.
    """
    spec = {
        **_scope(namespaces, matched, variables, condition),
        "validations": [
            {"expression": rule.expression, "message": rule.message, "reason": "Forbidden"} for rule in rules
        ],
    }
    return (
        manifest(ADMISSION, "ValidatingAdmissionPolicy", name, spec=spec),
        manifest(
            ADMISSION,
            "ValidatingAdmissionPolicyBinding",
            name,
            spec={"policyName": name, "validationActions": ["Deny"]},
        ),
    )


def mutating_policy(
    name: str,
    namespaces: dict[str, Any],
    matched: Iterable[dict[str, Any]],
    variables: dict[str, str],
    patches: Iterable[str],
    condition: str | None = None,
) -> tuple[Manifest, Manifest]:
    """A MutatingAdmissionPolicy, and its binding. Each of `patches` is a list of JSON patches in CEL."""
    expression = " +\n".join(f"({patch})" for patch in patches)
    spec = {
        **_scope(namespaces, matched, variables, condition),
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    return (
        manifest(ADMISSION, "MutatingAdmissionPolicy", name, spec=spec),
        manifest(ADMISSION, "MutatingAdmissionPolicyBinding", name, spec={"policyName": name}),
    )


def add(path: str, value: str) -> str:
    """A JSON patch that adds a value, both in CEL."""
    return f'JSONPatch{{op: "add", path: {path}, value: {value}}}'


def patch_if(condition: str, *patches: str) -> str:
    """The patches where the condition is true, else none."""
    return f"{condition} ? [{', '.join(patches)}] : []"


def _scope(
    namespaces: dict[str, Any],
    matched: Iterable[dict[str, Any]],
    variables: dict[str, str],
    condition: str | None,
) -> dict[str, Any]:
    """What a policy judges, and its variables. As in the API server, empty fields are left out."""
    fields = [{"name": name, "expression": expression} for name, expression in variables.items()]
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"namespaceSelector": namespaces, "resourceRules": list(matched)},
        **({"variables": fields} if fields else {}),
        **({"matchConditions": [{"name": "judged", "expression": condition}]} if condition else {}),
    }
