"""The JSON Schema of a stack file, for completion and checks in editors.

Draft 7, which every editor knows. It covers single keys; the rules that span keys are checked by the program.
"""

from collections.abc import Iterable
from typing import Any

import yaml

from k3sgpu.settings.config_keys import NAMESPACE, PROVIDERS_OWN
from k3sgpu.settings.model_paths import fields
from k3sgpu.settings.models.sections import SECRET_KEYS, Sections


def stack_schema() -> dict[str, Any]:
    """The schema of a Pulumi.<stack>.yaml."""
    schema = Sections.model_json_schema(ref_template="#/definitions/{model}")
    definitions = {name: _simplify(model) for name, model in sorted(schema["$defs"].items())}
    sections = {NAMESPACE + name: _simplify(field) for name, field in schema["properties"].items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack file of k3s-gpu-sharing",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "properties": sections | {NAMESPACE + name: _secret(name) for name in SECRET_KEYS},
                "patternProperties": {_other_namespaces([*fields(Sections), *SECRET_KEYS]): {}},
                "additionalProperties": False,
                "required": [NAMESPACE + name for name in schema["required"]],
                "oneOf": [{"required": [f"{NAMESPACE}{name}"]} for name in ("k3s", "kubeconfig")],
            }
        },
        "definitions": definitions,
    }


def _other_namespaces(ours: Iterable[str]) -> str:
    """The pattern of keys of other projects and providers: none that is named as one of ours."""
    own = "|".join(PROVIDERS_OWN)
    return rf"^(?!{NAMESPACE})(?!(?!(?:{own})$)[^:]+:(?:{'|'.join(ours)})$)[^:]+:[\s\S]"


def _secret(name: str) -> dict[str, Any]:
    return {
        "description": f"a secret: pulumi config set --secret {name} < FILE",
        "type": "object",
        "properties": {"secure": {"type": "string"}},
        "required": ["secure"],
        "additionalProperties": False,
    }


def _simplify(schema: Any) -> Any:
    """pydantic's schema without null, which a stack file must not contain, and without titles."""
    if isinstance(schema, list):
        return [_simplify(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _simplify(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)
    }
    if isinstance(choices := kept.get("anyOf"), list):
        choices = [choice for choice in choices if choice != {"type": "null"}]
        kept = {**kept, "anyOf": choices} if len(choices) > 1 else {**_without(kept, "anyOf"), **choices[0]}
    if kept.get("default", ...) is None:
        kept = _without(kept, "default")
    if isinstance(examples := kept.get("examples"), list):
        kept["examples"] = [_parse_example(example) for example in examples]
    if "patternProperties" in kept:  # only these names are allowed
        kept["additionalProperties"] = False
    if "$ref" in kept and len(kept) > 1:  # draft 7 ignores keywords beside $ref
        kept = {**_without(kept, "$ref"), "allOf": [{"$ref": kept["$ref"]}]}
    return kept


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _parse_example(example: Any) -> Any:
    """The value of an example, which the models write as YAML."""
    return yaml.safe_load(example) if isinstance(example, str) else example
