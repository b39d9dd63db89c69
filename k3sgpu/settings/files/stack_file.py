"""Read a stack file as Pulumi reads it, with encrypted values kept apart."""

from pathlib import Path
from typing import Any

from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.config_keys import NAMESPACE, misplaced
from k3sgpu.settings.files.regular_file import read_bytes
from k3sgpu.settings.files.yaml_nodes import Node, YamlError, parse
from k3sgpu.settings.files.yaml_values import Reader
from k3sgpu.settings.model_paths import Loc, dotted, fields
from k3sgpu.settings.models.sections import SECRET_KEYS, Sections
from k3sgpu.settings.pydantic_errors import MOST_PROBLEMS, more_mistakes, nearest

EXAMPLE = "pass the stack file with --file, for instance Pulumi.dev.yaml"
TOP_LEVEL = ("config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment")
"""The keys beside `config` that Pulumi knows (ProjectStack in sdk/go/common/workspace/project.go)."""


def read_keys(path: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """This project's plain keys without their namespace, and the names of its encrypted keys.

    Keys of other namespaces, such as aws:region, are ignored. Raises SettingsError.
    """
    root, reader = _root(path), Reader()
    top = reader.entries(root, ()) if root and root.kind == "mapping" else {}
    problems = [problem for key, node in top.items() if (problem := _beside_config(key, node))]
    config = top.get("config")
    if (root and root.kind != "mapping") or (config and config.kind != "mapping"):
        place = f"{path}: config" if config else str(path)
        raise _refused(
            place, "no mapping", "`config:` and keys below it", "write `config:` and the keys below it"
        )
    nodes = reader.entries(config, ("config",)) if config else {}
    problems += misplaced(nodes)
    plain, secrets = _values(nodes, reader)
    problems += [
        _nested_secret(place) for key, value in plain.items() for place in _secure_places(value, key)
    ]
    problems += [_unusable(path, *fault) for fault in reader.faults]
    if problems:
        raise SettingsError(problems[:MOST_PROBLEMS] + more_mistakes(len(problems)))
    return plain, frozenset(secrets)


def _values(nodes: dict[str, Node], reader: Reader) -> tuple[dict[str, Any], set[str]]:
    """The plain values by key, and the names of the encrypted ones."""
    plain: dict[str, Any] = {}
    secrets: set[str] = set()
    for key, node in nodes.items():
        name = key.removeprefix(NAMESPACE)
        if name == key:
            continue
        faults = len(reader.faults)
        value = reader.value(node, (name,))
        if name in SECRET_KEYS and not _looks_secure(value):
            del reader.faults[faults:]  # whatever is wrong with a secret in plain text, it is not shown
            plain[name] = ""
        elif _looks_secure(value):
            if _is_secure(value):
                secrets.add(name)
            else:
                reader.fault((name,), node, "secure: without an encrypted text", _set_secret(name))
        else:
            plain[name] = value
            if value is None and len(reader.faults) == faults:
                reader.fault(
                    (name,), node, "nothing: the key has no value", "write a value, or remove the key"
                )
    return plain, secrets


def _beside_config(key: str, node: Node) -> Problem | None:
    """The problem of a key at the top of the file, where Pulumi ignores this project's keys."""
    name = key.removeprefix(NAMESPACE)
    known = (*fields(Sections), *SECRET_KEYS)
    if key in TOP_LEVEL:
        return None
    if name != key or name in known:
        found, remedy = (
            f"the key {escape(key)} beside config:",
            f"indent it below `config:`, as {NAMESPACE}{name}",
        )
    elif (near := nearest(key, TOP_LEVEL)) is not None:
        found, remedy = f"the unknown key {escape(key)}", f"write {near}"
    else:
        return None
    return Problem(
        escape(key), f"{found}, in line {node.line}", "this project's keys below `config:`", remedy
    )


def _set_secret(name: str) -> str:
    return f"pulumi config set --secret {escape(name)} < FILE"


def _unusable(file: Path, path: Loc, node: Node, found: str, remedy: str) -> Problem:
    place = dotted(tuple(escape(part) if isinstance(part, str) else part for part in path)) or str(file)
    expected = "a value that means to Pulumi what is written"
    return Problem(place, f"{found}, in line {node.line}", expected, remedy)


def _nested_secret(place: str) -> Problem:
    return Problem(
        escape(place),
        "an encrypted value inside an object",
        "secrets only in top-level keys of their own",
        "remove it here; an SSH key goes to: pulumi config set --secret sshPrivateKey < KEYFILE",
    )


def _root(path: Path) -> Node | None:
    """The document of a file; None for an empty one. Raises SettingsError."""
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise _refused(str(path), "no such file", "a stack file, Pulumi.<stack>.yaml", EXAMPLE) from None
    except OSError as error:
        found = f"a file that cannot be read: {error.strerror}"
        raise _refused(str(path), found, "a readable YAML file", EXAMPLE) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"the byte 0x{content[error.start]:02x}, which is not UTF-8: the file cannot be read"
        raise _refused(f"{path}: line {line}", found, "a YAML file in UTF-8", "save it in UTF-8") from None
    try:
        root = parse(text)
    except YamlError as error:
        place = f"{path}: line {error.line}, column {error.column}" if error.line else str(path)
        raise _refused(place, escape(error.found), "YAML", error.remedy) from None
    empty = root is not None and root.kind == "scalar" and not root.quoted and root.text in ("", "~", "null")
    return None if empty else root


def _refused(place: str, found: str, expected: str, remedy: str) -> SettingsError:
    return SettingsError([Problem(escape(place), found, expected, remedy)])


def _looks_secure(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _is_secure(value: Any) -> bool:
    return _looks_secure(value) and isinstance(value["secure"], str)


def _secure_places(value: Any, place: str) -> list[str]:
    """The paths of all encrypted values inside `value`."""
    if isinstance(value, dict):
        inner = [(f"{place}.{key}", entry) for key, entry in value.items()]
    elif isinstance(value, list):
        inner = [(f"{place}[{index}]", entry) for index, entry in enumerate(value)]
    else:
        return []
    return [
        found
        for path, entry in inner
        for found in ([path] if _looks_secure(entry) else _secure_places(entry, path))
    ]
