"""The values of command-line flags of Kubernetes' programs, as their Go code reads them.

The types are those of github.com/spf13/pflag, and of k8s.io/component-base/cli/flag for lists of pairs. A
flag with another value ends the program that it is given to.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BOOL = re.compile(r"1|0|[tT]|[fF]|true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_DURATION = re.compile(r"[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)")
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_PAIR = re.compile(r"[^=,]+=[^,]*")
_GATE = re.compile(rf"[A-Za-z0-9]+=({_BOOL.pattern})")


class Wrong(NamedTuple):
    """Of a wrong value: what is expected, and an example."""

    expected: str
    example: str


@dataclass(frozen=True)
class FlagType:
    """A type of flags: what a value must be, an example, and whether a text is one."""

    expected: str
    example: str
    accepts: Callable[[str], bool]


def types_by_name(names_by_type: Mapping[str, str]) -> dict[str, str]:
    """The type of each flag or key, from a text by type with the names of all that have it."""
    return {name: kind for kind, names in names_by_type.items() for name in names.split()}


def is_integer(text: str, bits: int, *, signed: bool = True) -> bool:
    """Whether Go reads the text as a decimal number of this size. A leading zero would make it octal."""
    if not _INTEGER.fullmatch(text):
        return False
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return lowest <= int(text) <= highest


def is_quantity(text: str) -> bool:
    """Whether the text is a quantity of Kubernetes, such as 500m or 1Gi."""
    return bool(_QUANTITY.fullmatch(text))


def is_true(value: object) -> bool:
    """Whether a flag with this value is on."""
    return value is True or (isinstance(value, str) and value in ("1", "t", "T", "true", "True", "TRUE"))


def pairs(text: str, separator: str = "=") -> dict[str, str]:
    """The pairs of a list NAME=VALUE,NAME=VALUE; a part without the separator has an empty value."""
    parts = (part.strip().partition(separator) for part in text.split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in parts}


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_list_of(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: all(pattern.fullmatch(part.strip()) for part in text.split(",") if text)


FLAG_TYPES: Mapping[str, FlagType] = {
    "bool": FlagType("true or false", "true", lambda text: bool(_BOOL.fullmatch(text))),
    "int32": FlagType("a whole number, without leading zeros", "10", lambda text: is_integer(text, 32)),
    "int64": FlagType("a whole number, without leading zeros", "10", lambda text: is_integer(text, 64)),
    "uint": FlagType(
        "a whole number of 0 or more, without leading zeros",
        "10",
        lambda text: is_integer(text, 32, signed=False),
    ),
    "float": FlagType("a number", "0.5", lambda text: bool(_FLOAT.fullmatch(text))),
    "duration": FlagType(
        "a duration with its unit, such as 30s, 5m or 1h30m",
        "30s",
        lambda text: bool(_DURATION.fullmatch(text)),
    ),
    "ip": FlagType("an IP address", "10.0.0.11", is_address),
    "quantity": FlagType("a quantity, such as 500m or 1Gi", "1Gi", is_quantity),
    "pairs": FlagType("a list NAME=VALUE,NAME=VALUE", "name=value", _is_list_of(_PAIR)),
    "gates": FlagType("a list GATE=true,GATE=false", "NodeLogQuery=true", _is_list_of(_GATE)),
    "text": FlagType("a text in one line", "a text", lambda text: True),
}
"""By name. `text` stands for all types whose values are not checked further."""


def wrong_value(kind: str, text: str) -> Wrong | None:
    """What is wrong with this value of a flag of type `kind`; None where nothing is."""
    if _CONTROL.search(text):
        return Wrong("a text in one line, without control characters", "a text")
    flag_type = FLAG_TYPES[kind]
    return None if flag_type.accepts(text) else Wrong(flag_type.expected, flag_type.example)


TLS_VERSIONS = ("VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13")
_AEADS = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
_EXCHANGES = ("ECDHE_ECDSA", "ECDHE_RSA")
CIPHER_SUITES = (
    *(f"TLS_{cipher}" for cipher in _AEADS),
    *(
        f"TLS_{exchange}_WITH_{cipher}"
        for exchange in _EXCHANGES
        for cipher in (
            *(*_AEADS, "CHACHA20_POLY1305", "AES_128_CBC_SHA", "AES_256_CBC_SHA", "AES_128_CBC_SHA256"),
            "RC4_128_SHA",
        )
    ),
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    *(
        f"TLS_RSA_WITH_{cipher}"
        for cipher in (
            *("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "AES_128_CBC_SHA", "AES_256_CBC_SHA"),
            *("AES_128_CBC_SHA256", "3DES_EDE_CBC_SHA", "RC4_128_SHA"),
        )
    ),
)
"""Go's cipher suites (crypto/tls), and two older names in k8s.io/component-base/cli/flag."""


def wrong_choice(
    name: str, text: str, choices: Mapping[str, tuple[str, ...]], lists: Collection[str]
) -> Wrong | None:
    """What is wrong with the value of a flag that has a few values; None where nothing is.

    `choices` holds these values by flag, and `lists` the flags that list some of theirs.
    """
    if name not in choices or (name in lists and not text):
        return None
    known, chosen = choices[name], text.split(",") if name in lists else [text]
    unknown = [one.strip() for one in chosen if one.strip() not in known]
    if not unknown:
        return None
    like = difflib.get_close_matches(unknown[0], known, n=1)
    kind = "a list of" if name in lists else "one of"
    return Wrong(f"{kind} {', '.join(known)}", like[0] if like else known[0])
