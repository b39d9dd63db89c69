"""Find a path of the stack file in the models: its field, its model, and where else a key is known."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Loc = tuple[int | str, ...]


def dotted(loc: Loc) -> str:
    """("pools", "rtx", "gpu") → "pools.rtx.gpu"; list items as `resources[0]`."""
    text = ""
    for part in loc:
        key = str(part) or '""'
        text += f"[{part}]" if isinstance(part, int) else f".{key}" if text else key
    return text


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by their keys in the stack file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def field_at(root: type[BaseModel], loc: Loc) -> FieldInfo | None:
    """The field at a path; for an entry of a mapping or list the field of the mapping or list."""
    found = None
    annotation: Any = root
    for part in loc:
        annotation, field = _step(annotation, part)
        found = field or found
    return found


def model_at(root: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model at a path; None where the value there is no model."""
    annotation: Any = root
    for part in loc:
        annotation, _ = _step(annotation, part)
    return _model(annotation)


def _step(annotation: Any, part: int | str) -> tuple[Any, FieldInfo | None]:
    """The type one step down, and its field if the step leads to one."""
    if entries := _entries(annotation):
        return entries, None
    model = _model(annotation)
    field = fields(model).get(str(part)) if model else None
    return (field.annotation, field) if field else (None, None)


def places_for(root: type[BaseModel], key: str, loc: Loc) -> Iterator[Loc]:
    """Paths at which `key` would be valid: below `loc`, then beside each of its ancestors."""
    if model := model_at(root, loc):
        yield from _below(model, key, loc)
    for end in range(len(loc) - 1, 0, -1):
        model = model_at(root, loc[:end])
        if model and key in fields(model):
            yield (*loc[:end], key)


def _below(model: type[BaseModel], key: str, loc: Loc) -> Iterator[Loc]:
    for name, field in fields(model).items():
        place, inner = (*loc, name), field.annotation
        while entries := _entries(inner):
            place, inner = (*place, "<name>" if _is_mapping(inner) else 0), entries
        if inner_model := _model(inner):
            if key in fields(inner_model):
                yield (*place, key)
            yield from _below(inner_model, key, place)


def _is_mapping(annotation: Any) -> bool:
    return any(get_origin(kind) is dict for kind in _alternatives(annotation))


def _entries(annotation: Any) -> Any:
    """The type of the entries of a mapping or list; None for anything else."""
    for kind in _alternatives(annotation):
        if get_origin(kind) is dict:
            return get_args(kind)[1]
        if get_origin(kind) is tuple:
            return get_args(kind)[0]
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    for kind in _alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _alternatives(annotation: Any) -> list[Any]:
    """The types of an annotation, without Annotated and without unions."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]
