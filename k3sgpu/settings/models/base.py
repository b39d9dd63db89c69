"""The base class of all models of the stack file."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Model(BaseModel):
    """A mapping of the stack file: strictly typed, frozen, without unknown keys, spelled in camelCase.

    A field's `description` and `examples` are shown to users: in error messages, in the editor and in the
    generated reference.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any) -> Any:
        """Refuse a key without a value: read as absent it would silently switch something off."""
        if value is None:
            raise PydanticCustomError("null", "a value")
        return value
