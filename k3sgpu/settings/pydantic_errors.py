"""Translate pydantic's errors to Problems that name the key, the value and the remedy."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from k3sgpu.problem import Problem
from k3sgpu.settings.model_paths import Loc, dotted, field_at, fields, model_at, places_for
from k3sgpu.settings.models.secret_texts import may_hold_secret

SHOWN = 60
"""The characters of a value that are shown. Longer values are cut: they may be a pasted private key."""

MOST_PROBLEMS = 200
"""The mistakes in single keys that a report shows."""

KINDS = {
    "string_type": "a string",
    "int_type": "a whole number, without quotes",
    "int_from_float": "a whole number",
    "bool_type": "true or false, without quotes",
    "dict_type": "a mapping (`key: value` lines, or {})",
    "model_type": "a mapping (`key: value` lines, or {})",
    "tuple_type": "a list (`- item` lines, or [])",
    "null": "a value",
    "invalid-json-value": "plain YAML values",
}

FOREIGN = {
    "devices": "remove it: NVIDIA's plugin ignores it (all cards of a node are shared alike)",
    "rename": "remove it: NVIDIA's plugin ignores it; use renameByDefault in timeSlicing",
    "mig": "write migStrategy: single or mixed, and the cards' partitions to the pool's gpu.mig",
    "sharing": "remove the level `sharing`: write the keys below it directly into the profile",
    "flags": "remove the level `flags`: write migStrategy directly into the profile; the operator sets the\n"
    "plugin's other flags",
    "resources": "write gpus: 2 for a limit of 2 (and resource: for another than nvidia.com/gpu);\n"
    "Kubernetes sets an extended resource's request to its limit",
    "limits": "write gpus: 2 for a limit of 2 (and resource: for another than nvidia.com/gpu)",
    "requests": "remove it: gpus is the limit, and Kubernetes sets the request to the limit",
    "sshPassword": "use a key: pulumi config set --secret sshPrivateKey < KEYFILE",
    "token": "remove it: the program generates the cluster's tokens and keeps them as secrets",
}
"""Keys of NVIDIA's, Kubernetes' and k3s's own files that a stack file does not have, and what to write."""

NOT_WAIVABLE = ("owner", "privileges", "connection", "host-key", "login", "facts")
"""Checks of doctor that no stack file waives (k3sgpu/doctor/registry.py)."""


def translate(root: type[BaseModel], error: ValidationError, raw: Mapping[str, Any]) -> list[Problem]:
    """A Problem for each error, except errors that only follow from another one."""
    details = [one for one in error.errors(include_url=False) if one["type"] != "default_factory_not_called"]
    # A list of wrong entries is also too short: the error of the list follows from those of its entries.
    following = {
        one["loc"][:end] for one in details if one["loc"][-1:] != ("[key]",) for end in range(len(one["loc"]))
    }
    own = [one for one in details if one["loc"] not in following]
    return [_translate_one(root, one, raw) for one in own[:MOST_PROBLEMS]] + more_mistakes(len(own))


def more_mistakes(number: int) -> list[Problem]:
    """The problem that stands for those beyond MOST_PROBLEMS of `number`, if there are any."""
    if number <= MOST_PROBLEMS:
        return []
    found = f"{number - MOST_PROBLEMS} more mistakes, which are not shown"
    return [Problem("the stack file", found, "a file with few mistakes", "correct those first")]


def show(value: Any) -> str:
    """A value as in the file, shortened; never a secret that was pasted in."""
    if value is None:
        return "nothing (the key has no value)"
    if isinstance(value, (Mapping, list, tuple)):
        kind = "mapping" if isinstance(value, Mapping) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    if "\\n" in text or "PRIVATE KEY" in text:
        return "a string of several lines (not shown)"
    if isinstance(value, str) and may_hold_secret(value):
        return "a text with a password in it (not shown)"
    kind = {str: "", bool: " (true/false)", int: " (a number)", float: " (a number)"}.get(type(value), "")
    return (text if len(text) <= SHOWN else f"{text[:SHOWN]}…") + kind


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most similar to this one; None if none is similar."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def unknown_key(root: type[BaseModel], loc: Loc, known: Iterable[str]) -> Problem:
    """The problem of an unknown key. Its value is not shown: it may be a secret under a mistyped name."""
    known = list(known)
    key = dotted(loc[-1:])
    return Problem(
        where=dotted(loc),
        found=f"the unknown key {key}",
        expected=f"one of {', '.join(sorted(known))}" if known else "no key here",
        remedy=_remedy_for_unknown(root, loc, known),
    )


def _remedy_for_unknown(root: type[BaseModel], loc: Loc, known: list[str]) -> str:
    key, parent = dotted(loc[-1:]), loc[:-1]
    if not parent and f"{key}s" in known:
        return f"write {key}s instead of {key}"
    if place := next(places_for(root, key, parent), None):
        return f"move it: the key belongs at {dotted(place)}"
    if key in FOREIGN:
        return FOREIGN[key]
    if key == "version" and loc[0] == "sharing":
        return "remove it: the program writes `version: v1` itself"
    if like := nearest(key, known):
        return f"write {like} instead of {key}"
    return f"remove {key}"


def _translate_one(root: type[BaseModel], detail: ErrorDetails, raw: Mapping[str, Any]) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    loc, bad_key = path_in_file(detail["loc"], raw)
    if kind == "extra_forbidden":
        model = model_at(root, loc[:-1])
        return unknown_key(root, loc, fields(model) if model else [])
    field = field_at(root, loc)
    meaning = (field and field.description) or ""
    found = f"the name {show(str(loc[-1]))}" if bad_key else show(detail["input"])
    if kind == "missing":
        return Problem(dotted(loc), "nothing: the key is missing", meaning, f"add `{_example(field)}`")
    if kind == "refusal":
        return Problem(dotted(loc), found, str(context["expected"]), str(context["remedy"]))
    if kind == "literal_error":
        return _not_one_of(loc, detail, str(context["expected"]).replace("'", "").replace(" or ", ", "))
    bound = _bound(kind, context)
    expected = f"{bound}: {meaning}" if bound else meaning
    remedy = _fix_quotes(loc[-1], detail["input"], kind, field) or f"write for instance {_example(field)}"
    return Problem(dotted(loc), found, expected, remedy)


def _bound(kind: str, context: Mapping[str, Any]) -> str | None:
    """What a value must be, by the kind of pydantic's error: a type, or the limit of a number or a length."""
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
    if kind == "too_long":
        return f"at most {context['max_length']} entries"
    return KINDS.get(kind)


def _example(field: FieldInfo | None) -> str:
    return f"{field.alias}: {field.examples[0]}" if field and field.examples else "a value"


def _not_one_of(loc: Loc, detail: ErrorDetails, choices: str) -> Problem:
    if detail["input"] in NOT_WAIVABLE and loc[-2:-1] == ("waive",):
        return Problem(
            dotted(loc),
            f"{show(detail['input'])}, a check that is never skipped",
            f"one of {choices}",
            "remove it, and mend what the check reports",
        )
    like = nearest(str(detail["input"]), choices.split(", "))
    remedy = f"write {like}" if like else f"write one of {choices}"
    return Problem(dotted(loc), show(detail["input"]), f"one of {choices}", remedy)


def _fix_quotes(key: int | str, value: Any, kind: str, field: FieldInfo | None) -> str | None:
    """The remedy where only the quotes of the value are wrong; else None."""
    lead = "" if isinstance(key, int) else f"{key}: "
    if kind == "int_type" and isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        number = str(int(value))
        what = "the quotes" if number == value.strip() else "quotes and leading zeros"
        return f"remove {what}: {lead}{number}"
    if kind == "bool_type" and str(value).lower() in ("true", "false"):
        return f"remove the quotes: {lead}{str(value).lower()}"
    an_entry = field is not None and field.alias != key
    if kind == "string_type" and an_entry and isinstance(value, (int, float)):
        return f"put it in quotes: {lead}{json.dumps(json.dumps(value))}"
    return None


def path_in_file(loc: Loc, raw: Mapping[str, Any]) -> tuple[Loc, bool]:
    """pydantic's location as a path of the file, and whether the key itself is wrong.

    The path ends where the file does: without `address` for a host in the short form `name: address`.
    """
    bad_key = len(loc) > 1 and loc[-1] == "[key]"
    path: list[int | str] = []
    here: Any = raw
    for part in loc[:-1] if bad_key else loc:
        if not isinstance(here, (Mapping, list, tuple)):
            break
        path.append(part)
        here = step(here, part)
    return tuple(path), bad_key


def step(here: Any, part: int | str) -> Any:
    """The value one step down a path; None where there is none. Keys are compared as strings."""
    if isinstance(here, Mapping):
        if part in here:
            return here[part]
        return next((value for key, value in here.items() if str(key) == str(part)), None)
    return here[part] if isinstance(here, list) and isinstance(part, int) and part < len(here) else None
