"""From the keys of a stack file to Settings, or to all of its problems at once."""

import copy
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.stack_file import read_keys
from k3sgpu.settings.model_paths import Loc, fields
from k3sgpu.settings.models.resolved import NO_K3S, Settings
from k3sgpu.settings.models.sections import SECRET_KEYS, Sections
from k3sgpu.settings.pydantic_errors import path_in_file, step, translate, unknown_key
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.settings.rules.registry import check


def parse(raw: Mapping[str, object], secrets: Collection[str] = ()) -> Settings:
    """Settings from keys without a namespace, and the names of the secret keys that are set.

    Raises SettingsError with all problems, those of single keys and those of the rules, if one of them is an
    error. Warnings alone are in `Settings.warnings`.
    """
    sections = {key: value for key, value in raw.items() if key not in SECRET_KEYS}
    draft, key_problems = _read(sections, frozenset(secrets) | (raw.keys() & set(SECRET_KEYS)))
    problems = _secret_problems(raw, secrets)
    # The contents of an encrypted section are unknown: report only that it is encrypted.
    problems += [one for one in key_problems + check(draft) if one.where.split(".")[0] not in secrets]
    if any(problem.severity == "error" for problem in problems):
        raise SettingsError(problems)
    return replace(draft.settings, warnings=tuple(problems))


def read_stack_file(path: str | Path, secrets: Collection[str] = ()) -> Settings:
    """Settings from a Pulumi.<stack>.yaml, without Pulumi.

    Encrypted values (`secure:`) count as secrets that are set, as do `secrets`, which are kept elsewhere.
    Raises SettingsError for a missing file, for YAML errors with line and column, and as `parse` does.
    """
    raw, encrypted = read_keys(Path(path))
    return parse(raw, {*encrypted, *secrets})


def _secret_problems(raw: Mapping[str, object], secrets: Collection[str]) -> list[Problem]:
    plain = [
        Problem(
            key,
            "a secret in plain text (not shown)",
            "a secret, which Pulumi encrypts",
            f"pulumi config set --secret {key} < FILE, with a new secret: this one was readable",
        )
        for key in SECRET_KEYS
        if key in raw
    ]
    sections = fields(Sections)
    encrypted = [
        Problem(
            key,
            "an encrypted value",
            f"plain settings: secrets have top-level keys of their own ({', '.join(SECRET_KEYS)})",
            f"write {key} without secure:",
        )
        for key in secrets
        if key in sections
    ]
    unknown = [key for key in secrets if key not in sections and key not in SECRET_KEYS]
    return plain + encrypted + [unknown_key(Sections, (key,), [*sections, *SECRET_KEYS]) for key in unknown]


def _read(raw: Mapping[str, Any], secrets: frozenset[str]) -> tuple[Draft, list[Problem]]:
    """The readable part, and the problems of single keys."""
    try:
        return Draft(Settings.of(Sections.model_validate(raw), secrets), raw, frozenset()), []
    except ValidationError as error:
        sections, damaged = _salvage(raw, error)
        problems = _with_secret_keys(translate(Sections, error, raw))
        return Draft(Settings.of(sections, secrets), raw, damaged), problems


def _salvage(raw: Mapping[str, Any], error: ValidationError) -> tuple[Sections, frozenset[Loc]]:
    """The readable part, and the paths left out: remove what has an error and read again, until none has."""
    rest: dict[str, Any] = copy.deepcopy(dict(raw))
    damaged: frozenset[Loc] = frozenset()
    while True:
        damaged |= _leave_out(rest, error)
        try:
            return Sections.model_validate(rest), damaged
        except ValidationError as next_error:
            error = next_error


def _with_secret_keys(problems: list[Problem]) -> list[Problem]:
    """The problems, where an unknown top-level key is compared with the secret keys as well."""
    known = [*fields(Sections), *SECRET_KEYS]
    return [
        unknown_key(Sections, (problem.where,), known)
        if problem.found.startswith("the unknown key ") and "." not in problem.where
        else problem
        for problem in problems
    ]


def _leave_out(rest: dict[str, Any], error: ValidationError) -> frozenset[Loc]:
    """Delete each path that an error names (for a missing key: its mapping) and return the paths."""
    locs = {_culprit(detail["type"], detail["loc"], rest) for detail in error.errors(include_url=False)}
    before = copy.deepcopy(rest)
    for loc in sorted(locs, key=_sort_key, reverse=True):
        _delete(rest, loc)
    k3s = rest.get("k3s", {})
    if isinstance(k3s, dict) and "k3s" in rest:
        rest["k3s"] = {"version": NO_K3S, **k3s}  # so that the rules can still be checked
    if ("kubeconfig",) in locs:
        rest["kubeconfig"] = {}  # still an existing cluster, which needs no servers
    rest.setdefault("pools", {})
    if rest == before:  # an error without a path: nothing can be read
        rest.clear()
    return frozenset(locs)


def _culprit(kind: str, loc: Loc, rest: Mapping[str, Any]) -> Loc:
    path, _ = path_in_file(loc, rest)
    replaceable = path in (("k3s",), ("pools",), ("k3s", "version"))
    return path[:-1] if kind == "missing" and not replaceable else path


def _sort_key(loc: Loc) -> list[tuple[bool, int, str]]:
    """A sort key: list items by index, so that deleting from the end keeps the other indexes valid."""
    return [(isinstance(part, int), part if isinstance(part, int) else 0, str(part)) for part in loc]


def _delete(rest: Any, loc: Loc) -> None:
    for part in loc[:-1]:
        rest = step(rest, part)
    last = loc[-1]
    if isinstance(rest, list) and isinstance(last, int) and last < len(rest):
        del rest[last]
    if isinstance(rest, dict):
        same = [last] if last in rest else [key for key in rest if str(key) == str(last)]
        for key in same:
            del rest[key]
