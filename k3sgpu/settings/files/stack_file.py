"""Read a stack file as Pulumi reads it: YAML 1.2, no duplicate keys, encrypted values kept apart."""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.model_paths import fields
from k3sgpu.settings.models.sections import SECRET_KEYS, Sections

NAMESPACE = "k3s-gpu-sharing:"
"""The prefix of this project's keys: the project's name in Pulumi.yaml."""
EXAMPLE = "pass the stack file with --file, for instance Pulumi.dev.yaml"


TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """A loader that resolves scalars as Pulumi's parser does.

    PyYAML implements YAML 1.1, where `fit: off` is false and a date is no string.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping with string keys, as in Pulumi's JSON. Raises ConstructorError for a duplicate key."""
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{TAG}merge":
                continue
            if key.value in first_lines:
                again = f"the key {key.value} a second time (first in line {first_lines[key.value]})"
                raise yaml.constructor.ConstructorError(None, None, again, key.start_mark)
            first_lines[key.value] = key.start_mark.line + 1
            key.tag = f"{TAG}str"
        return super().construct_mapping(node, deep)


_KEPT = {f"{TAG}null", f"{TAG}float", f"{TAG}merge"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag in _KEPT]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{TAG}bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(f"{TAG}int", re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))


def read_keys(path: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """This project's plain keys without their namespace, and the names of its encrypted keys.

    Keys of other namespaces, such as aws:region, are ignored. Raises SettingsError.
    """
    document = _document(path)
    config = document.get("config", {})
    if not isinstance(config, dict):
        raise _unreadable(
            f"{path}: config", "no mapping", "keys below config:", "write `config:` and the keys below it"
        )
    unprefixed = [key for key in config if key in (*fields(Sections), *SECRET_KEYS)]
    ours = {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}
    secrets = {key for key, value in ours.items() if _is_secure(value)}
    plain = {key: value for key, value in ours.items() if key not in secrets}
    problems = [
        *(_without_namespace(key) for key in unprefixed),
        *(_nested_secret(place) for key, value in plain.items() for place in _secure_places(value, key)),
    ]
    if problems:
        raise SettingsError(problems)
    return plain, frozenset(secrets)


def _without_namespace(key: str) -> Problem:
    return Problem(
        f"config.{key}",
        "a key without a namespace",
        f"keys of this project, which begin with {NAMESPACE}",
        f"write {NAMESPACE}{key}",
    )


def _nested_secret(place: str) -> Problem:
    return Problem(
        place,
        "an encrypted value inside an object",
        "secrets only in top-level keys of their own",
        "remove it here; an SSH key goes to: pulumi config set --secret sshPrivateKey < KEYFILE",
    )


def _document(path: Path) -> dict[Any, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise _unreadable(str(path), "no such file", "a stack file, Pulumi.<stack>.yaml", EXAMPLE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(
            str(path), f"a file that cannot be read: {error}", "a readable YAML file", EXAMPLE
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}: line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        raise _unreadable(place, str(error.problem or error.context), "YAML", "correct this line") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: more digits than Python takes for a number
        raise _unreadable(str(path), str(error).splitlines()[0], "YAML", "correct the file") from None
    except RecursionError:
        raise _not_json(path, "values nested too deeply") from None
    try:
        json.dumps(document)
    except ValueError:
        raise _not_json(path, "a value that contains itself") from None
    except TypeError as error:
        raise _not_json(path, str(error)) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _unreadable(
            str(path), "no mapping", "a stack file with `config:`", "write `config:` and the keys below it"
        )
    return document


def _not_json(path: Path, found: str) -> SettingsError:
    return _unreadable(
        str(path),
        found,
        "values that JSON can express: Pulumi converts the file to JSON",
        "write plain values",
    )


def _unreadable(path: str, found: str, expected: str, remedy: str) -> SettingsError:
    return SettingsError([Problem(path, found, expected, remedy)])


def _is_secure(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


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
        for found in ([path] if _is_secure(entry) else _secure_places(entry, path))
    ]
