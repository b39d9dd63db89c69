"""What the models say of a stack file, as JSON Schema: an editor completes and refuses while one types.

Draft 7, which every editor knows. It refuses what can be seen at one place; rules that span places are the
program's.
"""

from typing import Any

import yaml

from k3sgpu.settings.files.stack_file import NAMESPACE
from k3sgpu.settings.models.stack import SECRET_KEYS, Sections


def stack_schema() -> dict[str, Any]:
    """The schema of a Pulumi.<stack>.yaml."""
    written = Sections.model_json_schema(ref_template="#/definitions/{model}")
    definitions = {name: _for_people(model) for name, model in sorted(written["$defs"].items())}
    sections = {NAMESPACE + name: _for_people(field) for name, field in written["properties"].items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack file of k3s-gpu-sharing",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "properties": sections | {NAMESPACE + name: _secret(name) for name in SECRET_KEYS},
                "patternProperties": {f"^(?!{NAMESPACE})[^:]+:.": {}},
                "additionalProperties": False,
                "required": [NAMESPACE + name for name in written["required"]],
                "oneOf": [{"required": [f"{NAMESPACE}{name}"]} for name in ("k3s", "kubeconfig")],
            }
        },
        "definitions": definitions,
    }


def _secret(name: str) -> dict[str, Any]:
    return {
        "description": f"a secret: pulumi config set --secret {name} < FILE",
        "type": "object",
        "properties": {"secure": {"type": "string"}},
        "required": ["secure"],
        "additionalProperties": False,
    }


def _for_people(schema: Any) -> Any:
    """pydantic's schema without what a stack file cannot say (null) and nobody reads (titles)."""
    if isinstance(schema, list):
        return [_for_people(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    told = {
        key: _for_people(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)
    }
    if isinstance(choices := told.get("anyOf"), list):
        choices = [choice for choice in choices if choice != {"type": "null"}]
        told = {**told, "anyOf": choices} if len(choices) > 1 else {**_without(told, "anyOf"), **choices[0]}
    if told.get("default", ...) is None:
        told = _without(told, "default")
    if isinstance(examples := told.get("examples"), list):
        told["examples"] = [_value(example) for example in examples]
    if "patternProperties" in told:  # the names that an entry may have, and no other
        told["additionalProperties"] = False
    if "$ref" in told and len(told) > 1:  # draft 7 reads nothing beside a reference
        told = {**_without(told, "$ref"), "allOf": [{"$ref": told["$ref"]}]}
    return told


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _value(example: Any) -> Any:
    """Examples of the models are as one writes them in YAML."""
    return yaml.safe_load(example) if isinstance(example, str) else example
