"""The annotation pulumi.com/waitFor: `jsonpath={.path}[=value]` or `condition=Type[=Status]`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from rehearsal.simulators.plugins.kubernetes import NAME
from rehearsal.simulators.plugins.server import Failure, NotModelled

_STEP: Final = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\]")
_EXPRESSION: Final = re.compile(r"\{\s*\$?(.*?)\s*\}(?:=(.+))?")


@dataclass(frozen=True)
class Condition:
    """A condition to wait for; `text` is as the program wrote it."""

    text: str
    steps: tuple[str | int, ...]
    value: str | None
    status_condition: bool = False

    def look(self, live: dict[str, Any]) -> tuple[bool, str]:
        """Whether `live` fulfils it, and what was found instead.

        A status of an earlier generation never does. Raises Failure when an object or a list is to be
        compared with a value.
        """
        generation = live["metadata"].get("generation", 0)
        if live.get("status", {}).get("observedGeneration", generation) < generation:
            return False, "the status is of an earlier generation"
        found = _condition_status(live, self.steps[0]) if self.status_condition else _select(live, self.steps)
        if found is None:
            return False, "nothing there yet"
        if self.value is None:
            return True, ""
        if isinstance(found, (dict, list)):
            raise Failure(f"{self.text}: found an object or a list, which cannot be compared with a value")
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return text == self.value, f'found "{text}"'


def conditions(annotation: str) -> list[Condition]:
    """The conditions of an annotation, all of which must hold. Raises Failure when it is malformed."""
    try:
        texts = json.loads(annotation)
    except ValueError:
        texts = [annotation]
    if not isinstance(texts, list) or not texts:
        raise Failure(
            f"pulumi.com/waitFor: found {annotation!r}, expected an expression or a JSON list of them"
        )
    return [_parse(text) for text in texts]


def _parse(text: str) -> Condition:
    if text.startswith("condition="):
        name, _, status = text.removeprefix("condition=").partition("=")
        return Condition(text, (name,), status or "True", status_condition=True)
    match = _EXPRESSION.fullmatch(text.removeprefix("jsonpath="))
    if not text.startswith("jsonpath=") or not match:
        raise Failure(
            f"pulumi.com/waitFor: found {text!r}, expected jsonpath={{.path}}=value or condition=Type"
        )
    return Condition(text.removeprefix("jsonpath="), tuple(_steps(match[1])), match[2])


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise NotModelled(NAME, f"the JSONPath {path!r}", "use .name, ['name'] and [0] only")
        steps.append(
            int(match[4]) if match[4] else next(group for group in match.groups()[:3] if group is not None)
        )
        position = match.end()
    return steps


def _select(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _condition_status(live: dict[str, Any], name: str | int) -> str | None:
    for condition in live.get("status", {}).get("conditions") or []:
        if condition["type"] == name:
            return condition["status"]
    return None
