r"""Types of texts and numbers, each made from one description.

The program's check and the JSON Schema for editors both come from it, so they agree. Python checks a pattern
against the whole text; the schema adds the anchors. Patterns use only what Python and ECMAScript read alike:
[0-9] and no \d (which is any Unicode digit in Python), no flags, no \Z, no possessive quantifiers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Words = str | Callable[[str], str]
"""Words for the user, or a function that makes them from the refused text."""

END = r"$(?!\n)"
"""The end of a text. In Python `$` alone also matches before a line break at the end."""
ANYTHING = r"[\s\S]*"
UNPRINTABLE = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
"""For a class of characters: controls, line separators, what turns the reading direction, lone surrogates."""

INT32 = 2**31 - 1
DAY_SECONDS = 86400
EXACT_INTEGER = 2**53 - 1
"""The largest number that survives JSON in every language (RFC 8259, section 6)."""


def refusal(expected: str, remedy: str) -> PydanticCustomError:
    """An error for a validator to raise, with the text that the user reads."""
    return PydanticCustomError("refusal", "{expected}", {"expected": expected, "remedy": remedy})


def _words(words: Words, text: str) -> str:
    return words if isinstance(words, str) else words(text)


@dataclass(frozen=True)
class Refused:
    """Texts that are refused in words of their own: those that match `pattern` as a whole."""

    pattern: str
    expected: Words
    remedy: Words


@dataclass(frozen=True)
class Text:
    """A type of text, for `Annotated[str, Text(...)]`.

    The text matches `pattern` as a whole, has at most `most` characters, and matches none of `refused`.
    `further` is a check that no pattern can express; it raises `refusal`, and the schema does not know it.
    """

    pattern: str
    most: int
    expected: str
    remedy: Words
    refused: tuple[Refused, ...] = ()
    further: Callable[[str], None] | None = None

    def check(self, text: str) -> str:
        """The text itself. Raises `refusal`."""
        if len(text) > self.most:
            raise refusal(f"at most {self.most} characters: {self.expected}", _words(self.remedy, text))
        for pattern, kind in self._refused:
            if pattern.fullmatch(text):
                raise refusal(_words(kind.expected, text), _words(kind.remedy, text))
        if not self._pattern.fullmatch(text):
            raise self._refusal(text)
        if self.further:
            self.further(text)
        return text

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of this type."""
        without = "|".join(kind.pattern for kind in self.refused)
        except_ = f"(?!(?:{without}){END})" if without else ""
        return {"type": "string", "maxLength": self.most, "pattern": f"^{except_}(?:{self.pattern}){END}"}

    def _refusal(self, text: str) -> PydanticCustomError:
        bare = text.strip()
        if bare != text and self._pattern.fullmatch(bare) and not self._is_refused(bare):
            blank = "line break" if "\n" in text else "white space"
            return refusal(f"no {blank} around it: {self.expected}", f"write {bare}")
        return refusal(self.expected, _words(self.remedy, text))

    def _is_refused(self, text: str) -> bool:
        return any(pattern.fullmatch(text) for pattern, _ in self._refused)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def _refused(self) -> list[tuple[re.Pattern[str], Refused]]:
        return [(re.compile(kind.pattern), kind) for kind in self.refused]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.schema


def either_case(word: str) -> str:
    """A pattern for a word in any case: JSON Schema's patterns have no flag for it."""
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in word.lower())


Seconds = Annotated[int, Field(ge=1, le=DAY_SECONDS)]
"""How long something may take: at most a day."""
Counter = Annotated[int, Field(ge=0, le=EXACT_INTEGER)]
"""A number that only has to differ."""
