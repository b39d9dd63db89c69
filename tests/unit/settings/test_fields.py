"""For every field of every model: wrong values are refused at its path, with a remedy."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from k3sgpu import settings as s
from k3sgpu.settings import model_paths
from k3sgpu.settings.models.sections import Sections
from k3sgpu.settings.pydantic_errors import FOREIGN

Place = tuple[int | str, ...]
ENTRY = "n1"  # any name of a pool, host, profile or workload


def places(model: Any = Sections, above: Place = ()) -> Iterator[tuple[Place, FieldInfo]]:
    """The path of every field, through entries of mappings and lists."""
    for name, field in model_paths.fields(model).items():
        place, inner = (*above, name), field.annotation
        yield place, field
        while entries := model_paths._entries(inner):
            place, inner = (*place, ENTRY if model_paths._is_mapping(inner) else 0), entries
        if inner_model := model_paths._model(inner):
            yield from places(inner_model, place)


FIELDS = {model_paths.dotted(place): (place, field) for place, field in places()}
MODELS = {place[:-1] for place, _ in FIELDS.values()}


def refusal(place: Place, value: Any) -> s.Problem:
    """The problem of a value at a place, without the problems of missing keys around it."""
    for part in reversed(place):
        value = [value] if isinstance(part, int) else {part: value}
    with pytest.raises(s.SettingsError) as refused:
        s.parse(value)
    found = [problem for problem in refused.value.problems if problem.where == model_paths.dotted(place)]
    assert len(found) == 1, refused.value
    return found[0]


def rules(annotation: Any, metadata: list[Any]) -> list[Any]:
    """Constraints of a field, also those of a type in a union: `Port | None`."""
    inner = [rule for part in get_args(annotation) for rule in rules(part, list(get_args(part)[1:]))]
    named = [rule.metadata if isinstance(rule, FieldInfo) else [rule] for rule in metadata]
    return inner + [rule for group in named for rule in group]


def limits(field: FieldInfo) -> list[Any]:
    """Values just outside of a field's limits."""
    kinds = model_paths._alternatives(field.annotation)
    outside: list[Any] = ["".join(get_args(kind)) for kind in kinds if get_origin(kind) is Literal]
    for rule in rules(field.annotation, field.metadata):
        if isinstance(rule, annotated_types.Ge):
            outside.append(int(str(rule.ge)) - 1)
        if isinstance(rule, annotated_types.Le):
            outside.append(int(str(rule.le)) + 1)
        if isinstance(rule, annotated_types.MinLen):
            outside.append("" if kinds[0] is str else [])
    return outside


@pytest.mark.parametrize("name", FIELDS)
def test_missing_value_and_wrong_type_are_refused_with_remedy(name: str) -> None:
    place, field = FIELDS[name]
    assert field.description and field.examples, "both are shown to users"
    for value in (None, 1.5):
        problem = refusal(place, value)
        assert problem.expected and problem.remedy
        assert "nothing" in problem.found if value is None else "1.5" in problem.found


@pytest.mark.parametrize("name", [name for name, (_, field) in FIELDS.items() if limits(field)])
def test_value_out_of_range_is_refused_with_remedy(name: str) -> None:
    place, field = FIELDS[name]
    for value in limits(field):
        problem = refusal(place, value)
        assert problem.expected and "write" in problem.remedy


@pytest.mark.parametrize(
    "model", sorted(MODELS, key=str), ids=lambda place: model_paths.dotted(place) or "top"
)
def test_misspelt_key_is_refused_with_the_nearest_known_one(model: Place) -> None:
    known = [place[-1] for place, _ in FIELDS.values() if place[:-1] == model]
    for key in map(str, known):
        misspelt = key[:-1] + "_" + key[-1]
        problem = refusal((*model, misspelt), 1)
        assert problem.found == f"the unknown key {misspelt}" and key in problem.expected
        assert problem.remedy == f"write {key} instead of {misspelt}"


def test_missing_required_keys_are_named_with_an_example() -> None:
    for model in MODELS - {()}:
        needed = [
            model_paths.dotted(place)
            for place, field in FIELDS.values()
            if place[:-1] == model and field.is_required() and field.default is PydanticUndefined
        ]
        for name in needed:
            place, _ = FIELDS[name]
            value: Any = {}
            for part in reversed(place[:-1]):
                value = [value] if isinstance(part, int) else {part: value}
            with pytest.raises(s.SettingsError) as refused:
                s.parse(value)
            (problem,) = [one for one in refused.value.problems if one.where == name]
            assert "missing" in problem.found and problem.remedy.startswith(f"add `{place[-1]}: ")


@pytest.mark.parametrize("key", FOREIGN)
def test_keys_of_other_programs_files_get_a_special_remedy(key: str) -> None:
    remedy = refusal(("sharing", "profiles", ENTRY, key), {}).remedy
    assert remedy == FOREIGN[key] or remedy.startswith("move it: ")
