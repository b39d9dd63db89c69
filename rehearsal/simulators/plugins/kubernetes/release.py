"""helm.sh/v3:Release, by the `helm` program (4.x) on PATH, with options that match Helm 3."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from rehearsal.simulators.plugins.kubernetes import NAME, secrecy
from rehearsal.simulators.plugins.server import Failure, InitFailed, NotModelled, diff_response, ignoring
from rehearsal.simulators.plugins.values import UNKNOWN, Secret, changes, decode, encode, has_unknown, plain

DEFAULT_SECONDS: Final = 300
NAME_TAKEN: Final = "a name that is still in use"  # in the words of Helm 3 and 4
# How long helm may go on after its own timeout before it is stopped.
GRACE_SECONDS: Final = 60
# What the official plugin writes into the inputs when the program does not: its zero values.
DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(
        ("allowNullValues", "atomic", "cleanupOnFail", "createNamespace", "dependencyUpdate"), False
    ),
    **dict.fromkeys(("devel", "disableCRDHooks", "disableOpenapiValidation", "disableWebhooks"), False),
    **dict.fromkeys(("forceUpdate", "lint", "recreatePods", "renderSubchartNotes", "replace"), False),
    **dict.fromkeys(("resetValues", "reuseValues", "skipAwait", "skipCrds", "verify", "waitForJobs"), False),
    **dict.fromkeys(("description", "keyring", "postrender"), ""),
}
# Sent by the SDK for the plugin's own use: what kind of release resource it is.
SDK_OWN: Final = "compat"
MODELLED: Final = {
    *("name", "namespace", "chart", "version", "values", "timeout", "skipAwait", "disableOpenapiValidation"),
    *("createNamespace", "skipCrds", "repositoryOpts", "description", "waitForJobs", "disableWebhooks"),
}
# Inputs that change nothing by being there with this value.
HARMLESS: Final = (None, False, "", 0, {}, [])


class Releases:
    """Releases in one cluster. `unreachable` is empty, or says why the cluster does not answer."""

    def __init__(self, kubeconfig: str, namespace: str, unreachable: str) -> None:
        self._kubeconfig, self._namespace, self._unreachable = kubeconfig, namespace, unreachable

    def check(self, request: Any) -> provider_pb2.CheckResponse:
        inputs = decode(request.news)
        values = plain(inputs)
        strange = [
            key for key, value in values.items() if key not in {*MODELLED, SDK_OWN} and value not in HARMLESS
        ]
        if strange:
            raise NotModelled(NAME, f"{', '.join(sorted(strange))} of a Release", "leave it out")
        if not values.get("name"):
            raise NotModelled(NAME, "names that it makes itself (Release)", "set name")
        given = {key: value for key, value in inputs.items() if plain(value) is not None and key in MODELLED}
        checked: dict[str, Any] = DEFAULTS | given
        checked.setdefault("namespace", self._namespace)
        checked.setdefault("timeout", DEFAULT_SECONDS)
        failures = []
        if not has_unknown(values):
            try:
                checked["version"] = _chart(values)["version"]
            except Failure as failure:
                reason = f"{failure}; check the chart's name or path, and its repository"
                failures.append(provider_pb2.CheckFailure(property="chart", reason=reason))
        return provider_pb2.CheckResponse(inputs=encode(checked), failures=failures)

    def diff(self, request: Any) -> provider_pb2.DiffResponse:
        old = plain(decode(request.olds)).get(secrecy.INPUTS, {})
        found = ignoring(changes(old, plain(decode(request.news))), list(request.ignoreChanges))
        return diff_response(found, lambda change: change.path[0] in ("name", "namespace"))

    def create(self, request: Any) -> provider_pb2.CreateResponse:
        inputs = decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(_previewed(inputs)))
        values = plain(inputs)
        self._install("install", values, inputs)
        state = encode(self._state(inputs, values))
        return provider_pb2.CreateResponse(id=_identity(values), properties=state)

    def update(self, request: Any) -> provider_pb2.UpdateResponse:
        inputs = decode(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=encode(_previewed(inputs)))
        values = plain(inputs)
        self._install("upgrade", values, inputs)
        return provider_pb2.UpdateResponse(properties=encode(self._state(inputs, values)))

    def read(self, request: Any) -> provider_pb2.ReadResponse:
        state, inputs = decode(request.properties), decode(request.inputs)
        if not state:
            found = self._imported(request.id)
            if found is None:
                return provider_pb2.ReadResponse()
            inputs = state = found
        values = plain(state)
        if self._metadata(values) is None:
            return provider_pb2.ReadResponse()
        properties = encode(self._state(inputs, values))
        return provider_pb2.ReadResponse(id=request.id, properties=properties, inputs=encode(inputs))

    def _imported(self, identity: str) -> dict[str, Any] | None:
        """The inputs of a release that somebody else has installed; None when there is none."""
        namespace, _, name = identity.rpartition("/")
        place = {"name": name, "namespace": namespace or self._namespace}
        found = self._metadata(place)
        if found is None:
            return None
        command = ["get", "values", name, "--namespace", place["namespace"], "--output", "json"]
        values = json.loads(self._helm(command, DEFAULT_SECONDS)) or {}
        chart = {"chart": _origin(found["chart"], found["version"]), "version": found["version"]}
        return {**DEFAULTS, **place, **chart, "values": values, "timeout": DEFAULT_SECONDS}

    def delete(self, request: Any) -> empty_pb2.Empty:
        values = plain(decode(request.properties))
        command = ["uninstall", values["name"], "--namespace", values["namespace"]]
        seconds = values.get("timeout") or DEFAULT_SECONDS
        if not values.get("skipAwait"):
            command += ["--wait=legacy", "--timeout", f"{seconds}s"]
        self._helm(command, seconds)
        return empty_pb2.Empty()

    def _install(self, verb: str, values: dict[str, Any], inputs: dict[str, Any]) -> None:
        """Raises InitFailed when the release exists afterwards but did not become ready, else Failure; also
        where it was another one that had the name before."""
        seconds = values.get("timeout") or DEFAULT_SECONDS
        with _private_file(yaml.safe_dump(values.get("values") or {})) as values_file:
            command = [verb, values["name"], *_chart_arguments(values), *_flags(verb, values, seconds)]
            try:
                self._helm([*command, "--values", str(values_file)], seconds)
            except Failure as failure:
                if NAME_TAKEN in str(failure) or self._metadata(values) is None:
                    raise
                identity = _identity(values)
                text = f"Helm release {identity} exists, but did not become ready: {failure}"
                raise InitFailed(identity, self._state(inputs, values), text, [text]) from None

    def _state(self, inputs: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        found = self._metadata(values) or {}
        status = {
            "appVersion": found.get("appVersion", ""),
            "chart": found.get("chart", ""),
            "name": found.get("name", ""),
            "namespace": found.get("namespace", ""),
            "revision": found.get("revision", 0),
            "status": found.get("status", ""),
            "version": found.get("version", ""),
        }
        outputs = {**inputs, "status": status, "resourceNames": self._resource_names(values)}
        return outputs | {secrecy.INPUTS: Secret(inputs)}

    def _metadata(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """The release as helm reports it; None when it does not exist."""
        command = ["get", "metadata", values["name"], "--namespace", values["namespace"], "--output", "json"]
        try:
            return json.loads(self._helm(command, DEFAULT_SECONDS))
        except Failure as failure:
            if "not found" in str(failure):
                return None
            raise

    def _resource_names(self, values: dict[str, Any]) -> dict[str, list[str]]:
        """Names of what the release created, by kind and version, e.g. "Deployment.apps/apps/v1"."""
        command = ["get", "manifest", values["name"], "--namespace", values["namespace"]]
        names: dict[str, list[str]] = {}
        for document in yaml.safe_load_all(self._helm(command, DEFAULT_SECONDS)):
            if not document:
                continue
            key, name = _resource_name(document, values["namespace"])
            names.setdefault(key, []).append(name)
        return names

    def _helm(self, arguments: list[str], seconds: int) -> str:
        if self._unreachable:
            raise Failure(f"the configured Kubernetes cluster is unreachable: {self._unreachable}")
        with _private_file(self._kubeconfig) as kubeconfig:
            return _run(arguments, seconds, {"KUBECONFIG": str(kubeconfig)})


def _chart(values: dict[str, Any]) -> dict[str, Any]:
    """The chart's own description. A relative path starts at the program's folder."""
    return yaml.safe_load(_run(["show", "chart", *_chart_arguments(values)], DEFAULT_SECONDS, {}))


def _chart_arguments(values: dict[str, Any]) -> list[str]:
    arguments = [values["chart"]]
    repository = values.get("repositoryOpts") or {}
    strange = [key for key, value in repository.items() if key != "repo" and value]
    if strange:
        raise NotModelled(NAME, f"repositoryOpts.{strange[0]}", "use a repository without credentials")
    if repository.get("repo"):
        arguments += ["--repo", repository["repo"]]
    if values.get("version") and not Path(values["chart"]).exists():
        arguments += ["--version", values["version"]]
    return arguments


def _origin(name: str, version: str) -> str:
    """Where the official plugin finds the chart of an imported release.

    In the program's folder, else in the repositories that this user has added to helm, else under its name.
    """
    versioned = f"{name}-{version}"
    for path in map(Path, (versioned, f"{versioned}.tgz", name, f"{name}.tgz")):
        if (path / "Chart.yaml").is_file() or (path.suffix == ".tgz" and path.is_file()):
            return str(path)
    try:
        command = ["search", "repo", name, "--version", version, "--output", "json"]
        found = json.loads(_run(command, DEFAULT_SECONDS, {}))
    except Failure:  # no repositories
        found = []
    return next((one["name"] for one in found if one["name"].rpartition("/")[2] == name), name)


def _flags(verb: str, values: dict[str, Any], seconds: int) -> list[str]:
    # Helm 4 would apply on the server's side and watch by kstatus; the official plugin holds Helm 3.
    flags = ["--namespace", values["namespace"], "--server-side=false", "--timeout", f"{seconds}s"]
    flags.append("--wait=hookOnly" if values.get("skipAwait") else "--wait=legacy")
    if values.get("waitForJobs") and not values.get("skipAwait"):
        flags.append("--wait-for-jobs")
    if values.get("disableOpenapiValidation"):
        flags.append("--disable-openapi-validation")
    if values.get("description"):
        flags += ["--description", values["description"]]
    if verb == "install":
        flags += ["--create-namespace"] if values.get("createNamespace") else []
        flags += ["--skip-crds"] if values.get("skipCrds") else []
        flags += ["--no-hooks"] if values.get("disableWebhooks") else []
    return flags


def _run(arguments: list[str], seconds: int, environment: dict[str, str]) -> str:
    """Runs helm and returns its output. Raises Failure with its error, which never contains the input."""
    try:
        done = subprocess.run(
            ["helm", *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise Failure("helm is not on PATH: the stand-in installs releases by it (helm 4)") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"helm {arguments[0]} did not end within {seconds + GRACE_SECONDS} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if not line.startswith(("level=", "WARNING:"))]
        raise Failure(" ".join(lines).removeprefix("Error: ") or f"helm {arguments[0]} failed")
    return done.stdout


@contextmanager
def _private_file(text: str) -> Iterator[Path]:
    """A temporary file that only this user can read."""
    descriptor, name = tempfile.mkstemp(prefix="release-", suffix=".yaml")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        yield Path(name)
    finally:
        Path(name).unlink()


def _previewed(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, secrecy.INPUTS: Secret(inputs), "resourceNames": UNKNOWN, "status": UNKNOWN}


def _identity(values: dict[str, Any]) -> str:
    return f"{values['namespace']}/{values['name']}"


def _resource_name(document: dict[str, Any], namespace: str) -> tuple[str, str]:
    metadata = document["metadata"]
    place = metadata.get("namespace")
    name = f"{place}/{metadata['name']}" if place else metadata["name"]
    group, _, version = document["apiVersion"].rpartition("/")
    kind = f"{document['kind']}.{group}" if group else document["kind"]
    return f"{kind}/{document['apiVersion']}" if group else f"{kind}/{version}", name
