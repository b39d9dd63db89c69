"""What an unquoted YAML scalar means to Pulumi.

Sources: resolve.go of gopkg.in/yaml.v3, and unmarshalObject in sdk/go/common/resource/config/object.go of
Pulumi. A scalar that Pulumi turns into something that nobody can have meant is refused: `2026-01-02` becomes
"2026-01-02 00:00:00 +0000 UTC", and `0777` becomes 511.
"""

import math
import re

LARGEST = 2**53
"""The greatest whole number that JSON carries without loss."""

CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NO_NUMBER = re.compile(r"\.nan|\.NaN|\.NAN|[-+]?(\.inf|\.Inf|\.INF)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9.,]+(Z|[-+][0-9:]+)?)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_BASES = {16: re.compile(r"0[xX][0-9a-fA-F]+"), 8: re.compile(r"0[oO][0-7]+"), 2: re.compile(r"0[bB][01]+")}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class Ambiguous(Exception):
    """A scalar that Pulumi reads as something else than it looks like.

    Its text says what was found, without the scalar, which may be a secret.
    """

    def __init__(self, found: str, remedy: str = "put it in quotes to keep the text") -> None:
        super().__init__(found)
        self.remedy = remedy


def resolve(text: str) -> bool | int | float | str | None:
    """The value of an unquoted scalar. Raises Ambiguous."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if _NO_NUMBER.fullmatch(text):
        raise Ambiguous("a number that JSON cannot express")
    if _DATE.fullmatch(text):
        raise Ambiguous("a date, which Pulumi writes in another form")
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if text[0] == "." and digits != text and _FLOAT.fullmatch(digits):
        raise Ambiguous("a number with '_' that begins with '.'")
    number = _number(digits)
    return text if number is None else number


def _number(digits: str) -> int | float | None:
    """The number that a text without underscores is; None if it is text. Raises Ambiguous."""
    sign, plain = -1 if digits[0] == "-" else 1, digits.removeprefix("-" if digits[0] == "-" else "+")
    if _LEADING_ZERO.fullmatch(digits):
        remedy = "write it without the zero, or put it in quotes to keep the text"
        raise Ambiguous("a number with a leading zero, which is octal to Pulumi", remedy)
    for base, pattern in _BASES.items():
        if pattern.fullmatch(plain):
            return _bounded(sign * int(plain[2:], base) if len(plain) < 100 else math.inf)
    if _WHOLE.fullmatch(digits):
        return _bounded(int(digits) if len(digits) < 100 else math.inf)
    return _bounded(float(digits)) if _FLOAT.fullmatch(digits) else None


def _bounded(number: int | float) -> int | float:
    if abs(number) > LARGEST:
        raise Ambiguous("a number that JSON cannot carry without loss")
    return int(number) if number == int(number) else number
