"""What an operation showed, without what differs from run to run: ids, times, ports, folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pulumi import automation

from rehearsal.simulators.plugins.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_SIGNATURE

if TYPE_CHECKING:
    from rehearsal.tests.e2e.probes.probe import Surroundings

SECRET: Final = "<secret>"
UNKNOWN: Final = "<unknown>"
SAME: Final = "<as inputs>"
# Written by the server, or different in every run.
VOLATILE: Final = {
    *("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"),
    *("deployment.kubernetes.io/revision", "batch.kubernetes.io/controller-uid", "controller-uid"),
}
# Parts of a live object that the server fills and the program never asked for.
SERVER_SIDE: Final = {"status", "spec"}
# Words that say what kind of failure it was: the sentences around them may differ.
FACTS: Final = (
    r"exit status \d+: running \"(?s:.*)",
    r"Process exited with status \d+(?: from signal \w+)?: running \"(?s:.*)",
    r"(?:chdir|fork/exec) \S+: [\w ]+: running \"(?s:.*)",
    r"signal: \w+: running \"(?s:.*)",
    r"after \d+ failed attempts",
    *(
        "connection refused",
        "deadline exceeded",
        "host key mismatch",
        "unable to authenticate",
        "failed to parse host key",
    ),
    *(
        "already exists",
        "no matches for kind",
        "timed out",
        "conflict",
        "unreachable",
        "immutable",
        "Invalid value",
    ),
    *("BackoffLimitExceeded", r"\d+/\d+ nodes are available[^.]*", "release: .*not found"),
    *(
        "failed to create typed patch object",
        "cannot unmarshal \\w+",
        "cannot be handled as a \\w+",
        "Unsupported value",
    ),
    *("path .* not found", "stand-in", "missing required"),
)
_COLOUR: Final = re.compile(r"<\{%[^}]*%\}>")


class Shown:
    """Turns events and states of one surroundings into values that can be compared."""

    def __init__(self, around: Surroundings) -> None:
        self._replacements = {str(around.folder): "<folder>"} | {
            text: f"<{name}>" for name, text in around.replaced.items()
        }

    def resources(self, events: list[automation.EngineEvent]) -> dict[str, Any]:
        """By name: operations, differences, what is unknown or secret, and what was said."""
        seen: dict[str, Any] = {}
        for event in events:
            if event.resource_pre_event:
                self._planned(
                    seen, event.resource_pre_event.metadata, bool(event.resource_pre_event.planning)
                )
            elif event.res_outputs_event and event.res_outputs_event.planning:
                self._previewed(seen, event.res_outputs_event.metadata)
            elif event.res_op_failed_event:
                metadata = event.res_op_failed_event.metadata
                if not _internal(metadata.urn):
                    _entry(seen, metadata.urn).setdefault("failed", []).append(metadata.op.value)
            elif event.diagnostic_event:
                self._said(seen, event.diagnostic_event)
        for entry in seen.values():
            for key in ("lines", "errors"):
                if key in entry:
                    entry[key].sort()
        return seen

    def _planned(self, seen: dict[str, Any], metadata: automation.StepEventMetadata, planning: bool) -> None:
        if _internal(metadata.urn):
            return
        entry = _entry(seen, metadata.urn)
        entry["operations"].append(metadata.op.value)
        if planning and metadata.detailed_diff:
            kinds = {path: change.diff_kind.value for path, change in metadata.detailed_diff.items()}
            entry["diff"] = dict(sorted(kinds.items()))

    def _previewed(self, seen: dict[str, Any], metadata: automation.StepEventMetadata) -> None:
        if _internal(metadata.urn) or not metadata.new or metadata.op.value == "same":
            return
        outputs = self.value(metadata.new.outputs or {})
        for word, marker in (("unknown", UNKNOWN), ("secret", SECRET)):
            paths = sorted(_paths(outputs, marker))
            if paths:
                _entry(seen, metadata.urn)[word] = paths

    def _said(self, seen: dict[str, Any], event: automation.DiagnosticEvent) -> None:
        text = self.text(_COLOUR.sub("", event.message))
        if not event.urn or _internal(event.urn):
            return
        if event.severity == "error":
            _entry(seen, event.urn).setdefault("errors", []).append(facts(text))
        elif event.ephemeral and ":Command::" in event.urn and text.strip():
            _entry(seen, event.urn).setdefault("lines", []).append(text.strip())

    def state(self, deployment: dict[str, Any]) -> dict[str, Any]:
        """By name: inputs, what outputs add to them, and initialisation errors of what is stored."""
        stored = {}
        for resource in deployment.get("resources") or []:
            if _internal(resource["urn"]):
                continue
            inputs = self.value(resource.get("inputs") or {})
            entry = {"inputs": inputs, "outputs": _added(self.value(resource.get("outputs") or {}), inputs)}
            texts = [self.text(text) for text in resource.get("initErrors") or []]
            if texts:
                entry["failed"] = sorted({fact for text in texts for fact in facts(text)})
            stored[_name(resource["urn"])] = entry
        return stored

    def value(self, value: Any) -> Any:
        """A property value: secrets and unknowns by name, volatile fields left out."""
        if isinstance(value, dict):
            if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
                return SECRET
            return {key: self.value(inner) for key, inner in sorted(value.items()) if key not in VOLATILE}
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, str):
            return UNKNOWN if value == UNKNOWN_SIGNATURE else self.text(value)
        return value

    def text(self, text: str) -> str:
        for found, replacement in self._replacements.items():
            text = text.replace(found, replacement)
        return re.sub(r"pulumi-kubernetes-[0-9a-f]{8}", "<manager>", text)


def facts(text: str) -> list[str]:
    """What of FACTS is in `text`, in the order of FACTS, without trailing white space."""
    found = []
    for pattern in FACTS:
        match = re.search(pattern, text)
        if match:
            found.append(match[0].rstrip())
    return found


def _added(outputs: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """What `outputs` say beyond `inputs`: other keys, and other values where the program set one."""
    live = "__fieldManager" in outputs
    added = {}
    for key, value in outputs.items():
        if key == "__inputs":
            added[key] = SAME if value == inputs else value
        elif key not in inputs:
            if not (live and key in SERVER_SIDE):
                added[key] = value
        else:
            seen = _pruned(value, inputs[key]) if live else value
            if seen != inputs[key]:
                added[key] = seen
    return added


def _pruned(value: Any, shape: Any) -> Any:
    if isinstance(value, dict) and isinstance(shape, dict):
        return {key: _pruned(inner, shape[key]) for key, inner in value.items() if key in shape}
    if isinstance(value, list) and isinstance(shape, list):
        return [_pruned(inner, wanted) for inner, wanted in zip(value, shape, strict=False)]
    return value


def _paths(value: Any, marker: str, path: str = "") -> Iterator[str]:
    if value == marker:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, marker, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, marker, f"{path}[{index}]")


def _entry(seen: dict[str, Any], urn: str) -> dict[str, Any]:
    return seen.setdefault(_name(urn), {"operations": []})


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _internal(urn: str) -> bool:
    """The stack itself, and providers that the engine makes."""
    return "::pulumi:pulumi:Stack::" in urn or (
        "::pulumi:providers:" in urn and urn.rpartition("::")[2].startswith("default")
    )
