"""What all models of a stack file have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Model(BaseModel):
    """Strict (a quoted number is not a number), frozen, closed to unknown keys, spelled in camelCase.

    A field's `description` and `examples` are what a user is told when the value is wrong.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        """`gpu:` with nothing after it is a slip; taken for absent it would switch something off unseen."""
        if value is None:
            raise PydanticCustomError("null", "a value")
        return value


Strings = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of texts. (A strict tuple would refuse YAML's lists; the texts in it stay strict.)"""
