"""Every text and number of the stack file has a grammar and bounds, in the program and in the JSON Schema."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from k3sgpu.settings.files.stack_file import NAMESPACE
from k3sgpu.settings.models.sections import Sections
from k3sgpu.settings.schema import stack_schema
from tests.data.field_values import CONTEXT, VALUES
from tests.data.stack_files import with_
from tests.unit.settings.test_schema import refusals

FREE = {"K3s.config", "GpuOperator.values", *(f"{name}.kubeletArgs" for name in ("K3s", "Pool", "Host"))}
"""Texts and numbers for other programs, whose rules say what is right."""


def file_with(place: str, value: Any) -> dict[str, Any]:
    return with_({**CONTEXT.get(place, {}), place: value})


def is_accepted(raw: dict[str, Any]) -> bool:
    """Whether each key by itself is right."""
    try:
        Sections.model_validate(raw)
    except ValidationError:
        return False
    return True


def schema_accepts(raw: dict[str, Any]) -> bool:
    return not refusals({NAMESPACE + key: value for key, value in raw.items()})


@pytest.mark.parametrize("place", VALUES)
def test_right_values_are_accepted(place: str) -> None:
    for value in VALUES[place].accepted:
        assert is_accepted(file_with(place, value)), value
        assert schema_accepts(file_with(place, value)), value


@pytest.mark.parametrize("place", VALUES)
def test_wrong_values_are_refused(place: str) -> None:
    for value in VALUES[place].refused:
        assert not is_accepted(file_with(place, value)), value
        assert not schema_accepts(file_with(place, value)), value
    for value in VALUES[place].beyond:
        assert not is_accepted(file_with(place, value)), value


def types(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every type inside a JSON Schema, with its place."""
    if isinstance(schema, list):
        for item in schema:
            yield from types(item, place)
    elif isinstance(schema, dict):
        if "type" in schema:
            yield place, schema
        for key, inner in schema.items():
            if key == "properties":
                for name, field in inner.items():
                    if f"{place}.{name}" not in FREE:
                        yield from types(field, f"{place}.{name}")
            elif key == "patternProperties":
                yield from types(list(inner.values()), place)
            elif key in ("anyOf", "allOf", "items", "additionalProperties"):
                yield from types(inner, place)


def unbounded(schema: dict[str, Any]) -> bool:
    if "enum" in schema or "const" in schema:
        return False
    needed = {
        "string": {"pattern", "maxLength"},
        "integer": {"minimum", "maximum"},
        "array": {"maxItems"},
        "object": {"properties"} if "properties" in schema else {"maxProperties"},
    }
    return not needed.get(schema["type"], set()) <= schema.keys()


def test_every_type_has_a_grammar_and_bounds() -> None:
    schema = stack_schema()
    config = schema["properties"]["config"]["properties"]
    plain = {key: field for key, field in config.items() if "secure" not in field.get("properties", {})}
    everything = [*types({"properties": plain}, "")]
    for name, model in schema["definitions"].items():
        everything += types(model, name)
    assert len(everything) > 150
    assert not [place for place, kind in everything if unbounded(kind)]
