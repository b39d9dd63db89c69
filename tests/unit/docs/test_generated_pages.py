"""The pages that `make reference` writes are up to date."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from k3sgpu.settings.models.sections import Sections
from tools import checks_reference, stack_file_reference, team_permissions_reference


def test_reference_of_the_stack_file_is_up_to_date() -> None:
    assert stack_file_reference.PAGE.read_text() == stack_file_reference.page(), "run make reference"


def test_reference_of_the_checks_is_up_to_date() -> None:
    assert checks_reference.PAGE.read_text() == checks_reference.page(), "run make reference"


def test_reference_of_team_permissions_is_up_to_date() -> None:
    reference = team_permissions_reference
    assert reference.PAGE.read_text() == reference.page(), "run make reference"


def test_notes_of_the_reference_name_existing_keys() -> None:
    keys = {f"{model.__name__}.{field.alias}" for model in models() for field in model.model_fields.values()}
    notes = stack_file_reference
    assert keys.issuperset({*notes.COMPUTED, *notes.ON_A_LIVING_CLUSTER})


def test_every_computed_default_is_described() -> None:
    computed = {
        f"{model.__name__}.{field.alias}"
        for model in models()
        for field in model.model_fields.values()
        if field.default_factory
    }
    assert computed == set(stack_file_reference.COMPUTED)


def models() -> set[type[BaseModel]]:
    """All models of a stack file."""
    found: set[type[BaseModel]] = set()
    queue: list[Any] = [Sections]
    while queue:
        model = queue.pop()
        if model not in found:
            found.add(model)
            queue += [inner for field in model.model_fields.values() for inner in inside(field.annotation)]
    return found


def inside(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that stand in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from inside(part)
