"""Validation of what a subprocess is handed: the JSON must have the shape of a TypedDict."""

from typing import TypeVar

from k3sgpu.problem import InputError

T = TypeVar("T")
LONGEST_VALUE = 60
"""Characters of a wrong value that a message quotes."""


def validate(shape: type[T], data: object, what: str) -> T:
    """Returns `data` as the TypedDict `shape`.

    Unknown keys are refused, and values are not converted: "5" is not a number. Raises InputError, one line
    that names `what`, the place, what was found and what is expected.
    """
    from pydantic import TypeAdapter, ValidationError  # imported here: it takes 50 ms

    try:
        return TypeAdapter(shape).validate_python(data, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"{what}: {place}" if place else what
        if first["type"] == "missing":
            raise InputError(f"{where}: found nothing") from None
        if first["type"] == "extra_forbidden":
            raise InputError(f"{where}: unknown key") from None
        found = repr(first["input"])
        found = found if len(found) <= LONGEST_VALUE else f"{found[:LONGEST_VALUE]}…"
        wanted = first["msg"].removeprefix("Input should be ")
        raise InputError(f"{where}: found {found}; expected {wanted}") from None
