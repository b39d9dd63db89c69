"""The `command` plugin's resources: checks, differences, and what runs when."""

from __future__ import annotations

import secrets
from typing import Any, Final

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from rehearsal.simulators.plugins.command import VERSION, local, remote
from rehearsal.simulators.plugins.command.output import Output
from rehearsal.simulators.plugins.server import (
    INFO,
    Failure,
    NotModelled,
    StandIn,
    answering,
    diff_response,
    ignoring,
)
from rehearsal.simulators.plugins.values import (
    UNKNOWN,
    Change,
    Secret,
    changes,
    decode,
    encode,
    has_unknown,
    plain,
)

LOCAL: Final = "command:local:Command"
REMOTE: Final = "command:remote:Command"

COMMON: Final = {"triggers", "create", "update", "delete", "stdin", "logging", "addPreviousOutputInEnv"}
INPUTS: Final = {LOCAL: COMMON | {"interpreter", "dir", "environment"}, REMOTE: COMMON | {"connection"}}
PROXY: Final = {
    *("host", "user", "port", "privateKey", "privateKeyPassword", "hostKey"),
    *("dialErrorLimit", "perDialTimeout"),
}
CONNECTION: Final = PROXY | {"proxy"}
# The schema's defaults, which the official plugin fills in at Check.
CONNECTION_DEFAULTS: Final = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
TYPES: Final = {
    "create": str,
    "update": str,
    "delete": str,
    "stdin": str,
    "logging": str,
    "dir": str,
    "triggers": list,
    "interpreter": list,
    "environment": dict,
    "connection": dict,
    "addPreviousOutputInEnv": bool,
}


class CommandStandIn(StandIn):
    """See the module. State is what the engine holds: nothing is kept here between calls."""

    name = "command"
    version = VERSION

    @answering
    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        kind = _kind(request.urn)
        inputs = decode(request.news)
        failures = self._problems(kind, inputs)
        if kind == REMOTE and not failures:
            inputs["connection"] = _with_defaults(inputs["connection"])
        return provider_pb2.CheckResponse(
            inputs=encode(inputs),
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures],
        )

    def _problems(self, kind: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
        found = []
        for name, value in inputs.items():
            if name not in INPUTS[kind]:
                found.append((name, str(NotModelled(self.name, f"{name} of {kind}", "leave it out"))))
            elif not _is(plain(value), TYPES[name]):
                found.append((name, f"expected a value of type {TYPES[name].__name__}"))
        if kind == REMOTE:
            found += self._remote_problems(inputs)
        return found

    def _remote_problems(self, inputs: dict[str, Any]) -> list[tuple[str, str]]:
        found = []
        if plain(inputs.get("addPreviousOutputInEnv")) is not False:
            text = "addPreviousOutputInEnv (sshd accepts such variables only by AcceptEnv)"
            found.append(("addPreviousOutputInEnv", str(NotModelled(self.name, text, "set it to False"))))
        if "connection" not in inputs:
            return [*found, ("connection", "missing required property: say how the machine is reached")]
        connection = plain(inputs["connection"])
        if not isinstance(connection, dict):
            return found
        found += self._end_problems("connection", connection, CONNECTION)
        if isinstance(connection.get("proxy"), dict):
            found += self._end_problems("connection.proxy", connection["proxy"], PROXY)
        return found

    def _end_problems(self, place: str, end: dict[str, Any], known: set[str]) -> list[tuple[str, str]]:
        found = [
            (f"{place}.{name}", str(NotModelled(self.name, name, "use host, port, user, keys, proxy")))
            for name in sorted(end.keys() - known)
        ]
        if "host" not in end:
            found.append((f"{place}.host", "missing required property: the machine's address"))
        if not end.get("hostKey"):
            text = "a connection without hostKey (the official plugin accepts any key then)"
            found.append(
                (f"{place}.hostKey", str(NotModelled(self.name, text, "give the host's public key")))
            )
        return found

    @answering
    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        found = ignoring(_input_changes(request), list(request.ignoreChanges))
        return diff_response(found, _replaces)

    @answering
    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        inputs = decode(request.properties)
        if request.preview:
            outputs: dict[str, Any] = {"stdout": UNKNOWN, "stderr": UNKNOWN}
            return provider_pb2.CreateResponse(properties=encode(inputs | outputs))
        outputs = {"stdout": "", "stderr": ""}
        if "create" in inputs:
            outputs = self._run(request.urn, "create", inputs, outputs)
        identity = request.urn.rpartition("::")[2] + secrets.token_hex(4)
        return provider_pb2.CreateResponse(id=identity, properties=encode(inputs | outputs))

    @answering
    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        inputs, state = decode(request.news), decode(request.olds)
        for name in request.ignoreChanges:
            if name in state:
                inputs[name] = state[name]
        outputs = {name: state.get(name, "") for name in ("stdout", "stderr")}
        if request.preview:
            if _recomputed(_kind(request.urn), inputs, state):
                outputs = dict.fromkeys(outputs, UNKNOWN)
            return provider_pb2.UpdateResponse(properties=encode(inputs | outputs))
        operation = "update" if "update" in inputs else "create"
        if operation in inputs:
            outputs = self._run(request.urn, operation, inputs, plain(outputs))
        return provider_pb2.UpdateResponse(properties=encode(inputs | outputs))

    @answering
    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        state = decode(request.properties)
        if "delete" in state:
            previous = {name: plain(state.get(name, "")) for name in ("stdout", "stderr")}
            self._run(request.urn, "delete", state, previous)
        return empty_pb2.Empty()

    @answering
    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def _run(
        self, urn: str, operation: str, inputs: dict[str, Any], previous: dict[str, str]
    ) -> dict[str, str]:
        """Runs the script of `operation` and returns the outputs; raises Failure when it fails."""
        if has_unknown(inputs):
            raise Failure(f"{operation} cannot run: an input is not known yet")
        values = plain(inputs)

        def status(text: str) -> None:
            self.log.write(INFO, text, urn, status=True)

        output = Output(values.get("logging", "stdoutAndStderr"), status)
        if _kind(urn) == LOCAL:
            local.run(values[operation], values, previous, output, self.cancelled)
        else:
            stdin = values.get("stdin", "")
            remote.run(values[operation], values["connection"], stdin, output, status, self.cancelled)
        return output.properties()


def _kind(urn: str) -> str:
    """The resource's type; raises NotModelled for another than the two."""
    kind = urn.split("::")[2].rpartition("$")[2]
    if kind not in INPUTS:
        raise NotModelled("command", kind, f"use {LOCAL} or {REMOTE}")
    return kind


def _is(value: Any, expected: type) -> bool:
    return value is UNKNOWN or isinstance(value, expected)


def _with_defaults(connection: Any) -> Secret:
    """`connection` with the defaults filled in; always secret."""
    value = connection.value if isinstance(connection, Secret) else connection
    if not isinstance(value, dict):
        return Secret(value)
    proxy = value.get("proxy")
    inner = {"proxy": CONNECTION_DEFAULTS | plain(proxy)} if proxy is not None else {}
    return Secret(CONNECTION_DEFAULTS | value | inner)


def _input_changes(request: Any) -> list[Change]:
    old = {name: _shallow(value) for name, value in decode(request.old_inputs).items()}
    new = {name: _shallow(value) for name, value in decode(request.news).items()}
    return changes(old, new)


def _shallow(value: Any) -> Any:
    """Compares a secret as a whole, so that a diff does not show its content."""
    return Secret(plain(value.value)) if isinstance(value, Secret) else value


def _replaces(change: Change) -> bool:
    """Only `triggers` as a whole: elements replace through the SDK's own replaceOnChanges."""
    return change.path == ("triggers",)


def _recomputed(kind: str, inputs: dict[str, Any], state: dict[str, Any]) -> bool:
    """Whether the outputs are unknown in a preview: an input that the state holds differs, or is unknown.

    An input that is new is no reason: the official plugin's framework compares with what the state has.
    """
    return any(
        has_unknown(inputs.get(name)) or (name in state and plain(inputs.get(name)) != plain(state[name]))
        for name in INPUTS[kind]
    )
