r"""Regular expressions of Go (RE2), in which k3s's registries.yaml rewrites the names of images.

Go's syntax is described at pkg.go.dev/regexp/syntax. Python also has references such as \1, look-around and
possessive quantifiers; it lacks \z, \pL, [[:alpha:]] and \Q; and \Z has another meaning.
"""

import re
import warnings
from typing import Annotated

from k3sgpu.settings.models.grammar import UNPRINTABLE, Text, refusal

_LIMIT = 1000
_MOST_REPEATS = 1000
_EXPECTED = "a regular expression as Go reads it (RE2)"
_EXAMPLE = 'write for instance "^library/(.*)"'
_ESCAPE = re.compile(
    r"\\(?:[aftnrvAbBzdDsSwWQEC]|[0-7]{2,3}|0|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|[pP](?:[A-Z]|\{\^?[A-Za-z_]+\})"
    r"|[^A-Za-z0-9])"
)
_GROUP = re.compile(r"\(\?(?:P?<[A-Za-z_][A-Za-z0-9_]*>|[imsU]*(?:-[imsU]+)?[:)])")
_POSIX_CLASS = re.compile(
    r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]"
)
_REPEAT = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")


def _to_python(text: str) -> str:
    """The expression with Python's syntax in place of what only Go has. Raises `refusal`."""
    python, index, in_class = "", 0, False
    while index < len(text):
        rest = text[index:]
        for pattern, start in ((_ESCAPE, "\\"), (_POSIX_CLASS, "[:" if in_class else "\0"), (_GROUP, "(?")):
            if rest.startswith(start) and not (in_class and start == "(?"):
                found = pattern.match(text, index)
                if not found:
                    raise _refused(f"{rest[:4]} is none of its signs")
                flags_alone = start == "(?" and found[0].endswith(")")
                python += "" if flags_alone else {"\\": r"\.", "[:": "a", "(?": "("}[start]
                index = found.end()
                break
        else:
            if in_class:
                in_class = not (text[index] == "]" and python[-1:] not in ("[", "^"))
            elif text[index] == "[":
                in_class = True
            python += text[index]
            index += 1
    return python


def _refused(why: str) -> Exception:
    return refusal(f"{_EXPECTED}; {why}", _EXAMPLE)


def _check_syntax(text: str) -> None:
    python = _to_python(text)
    if re.search(r"[*+?}][*+]|[*+]\?[?*+]|\}\?[?*+]", re.sub(r"\\.|\[\^?\]?[^\]]*\]", "x", python)):
        raise _refused("a repetition of a repetition is not allowed")
    for repeat in _REPEAT.finditer(python):
        if any(int(number) > _MOST_REPEATS for number in repeat.groups() if number):
            raise _refused(f"it repeats at most {_MOST_REPEATS} times")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(python)
    except (re.error, OverflowError, RecursionError) as error:
        raise _refused(str(error)) from None


RewritePattern = Annotated[
    str, Text(f"[^{UNPRINTABLE}]+", _LIMIT, _EXPECTED, _EXAMPLE, further=_check_syntax)
]
Replacement = Annotated[
    str,
    Text(
        r"[A-Za-z0-9._/${}-]*",
        _LIMIT,
        "the new part of the image's name: letters, digits, '.', '_', '-', '/', and $1 for the first group",
        'write for instance "docker/$1"',
    ),
]
