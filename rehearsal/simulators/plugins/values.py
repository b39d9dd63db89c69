"""Property values as the engine sends them: plain Python, plus `UNKNOWN` and `Secret`.

The wire form is a protobuf Struct in which special values are objects or strings with fixed signatures
(pulumi/pulumi: sdk/go/common/resource/plugin/rpc.go and resource/properties.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format, struct_pb2

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN_SIGNATURE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """The value of a property that is not known yet, during a preview."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A secret value. Its representation hides the content from logs and tracebacks."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(…)"


class UnsupportedValue(Exception):
    """A kind of value that the stand-ins do not model: assets, archives, references to resources."""


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties of a request. Whole numbers become int: the wire knows only floating point numbers.

    Raises UnsupportedValue for assets, archives and resource references.
    """
    return {key: _decode(value) for key, value in json_format.MessageToDict(struct).items()}


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        signature = value.get(SIGNATURE_KEY)
        if signature == SECRET_SIGNATURE:
            return Secret(_decode(value.get("value")))
        if signature is not None:
            raise UnsupportedValue("an asset, an archive or a reference to a resource")
        return {key: _decode(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_decode(inner) for inner in value]
    if value == UNKNOWN_SIGNATURE:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """The wire form of `properties`."""
    struct = struct_pb2.Struct()
    struct.update({key: _encode(value) for key, value in properties.items()})
    return struct


def _encode(value: Any) -> Any:
    if isinstance(value, Secret):
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": _encode(value.value)}
    if isinstance(value, Unknown):
        return UNKNOWN_SIGNATURE
    if isinstance(value, Mapping):
        return {key: _encode(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encode(inner) for inner in value]
    return value


def plain(value: Any) -> Any:
    """`value` with all secrets unwrapped."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def walk(value: Any) -> Iterator[Any]:
    """`value` and everything inside it."""
    yield value
    if isinstance(value, Secret):
        yield from walk(value.value)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def has_unknown(value: Any) -> bool:
    """Whether `value` contains an unknown value."""
    return any(isinstance(inner, Unknown) for inner in walk(value))


def has_secret(value: Any) -> bool:
    """Whether `value` contains a secret."""
    return any(isinstance(inner, Secret) for inner in walk(value))


Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """One difference: kind is "add", "delete" or "update"."""

    path: Path
    kind: str

    @property
    def text(self) -> str:
        """The path in the engine's notation, e.g. `metadata.labels["a.b/c"]`, `spec.items[0]`."""
        text = ""
        for step in self.path:
            if isinstance(step, int):
                text += f"[{step}]"
            elif set(step) & set('."[]'):
                escaped = step.replace('"', '\\"')
                text += f'["{escaped}"]'
            else:
                text += f".{step}" if text else step
        return text


def changes(old: Any, new: Any, path: Path = ()) -> list[Change]:
    """The differences between `old` and `new`, leaf by leaf, in a stable order."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[Change] = []
        for key in sorted(old.keys() | new.keys()):
            step = (*path, key)
            if key not in new:
                found.append(Change(step, "delete"))
            elif key not in old:
                found.append(Change(step, "add"))
            else:
                found += changes(old[key], new[key], step)
        return found
    if isinstance(old, list) and isinstance(new, list):
        found = []
        for index in range(max(len(old), len(new))):
            step = (*path, index)
            if index >= len(new):
                found.append(Change(step, "delete"))
            elif index >= len(old):
                found.append(Change(step, "add"))
            else:
                found += changes(old[index], new[index], step)
        return found
    return [] if _same(old, new) else [Change(path, "update")]


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, Unknown) or isinstance(new, Unknown):
        return False
    # True == 1 in Python, but not in a property.
    return isinstance(old, bool) == isinstance(new, bool) and old == new
