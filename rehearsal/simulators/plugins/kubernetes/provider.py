"""The `kubernetes` plugin: its configuration, and which resource goes where."""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from rehearsal.simulators.plugins.kubernetes import NAME, VERSION, kinds, kubeconfig
from rehearsal.simulators.plugins.kubernetes.api import Api, ApiError, Unreachable
from rehearsal.simulators.plugins.kubernetes.objects import Objects, Options
from rehearsal.simulators.plugins.kubernetes.release import Releases
from rehearsal.simulators.plugins.server import INFO, EngineLog, Failure, NotModelled, StandIn, answering
from rehearsal.simulators.plugins.values import UNKNOWN, decode, plain

# Provider arguments with a meaning here; others are refused unless they are switched off.
MODELLED: Final = {
    *(
        "kubeconfig",
        "context",
        "namespace",
        "clusterIdentifier",
        "enableConfigMapMutable",
        "enablePatchForce",
    ),
    *(
        "enableServerSideApply",
        "kubeClientSettings",
        "suppressDeprecationWarnings",
        "suppressHelmHookWarnings",
        "upsertExistingObjects",
    ),
    "version",
}
OFF: Final = (None, "", "false", False, "{}")
# The active cluster is found by these.
PLACE: Final = ("kubeconfig", "context", "cluster")
TIMEOUT_SECONDS: Final = 30.0


class KubernetesStandIn(StandIn):
    """One provider resource: the engine starts a process for each, and configures it once."""

    name = NAME
    version = VERSION

    def __init__(self, log: EngineLog) -> None:
        super().__init__(log)
        self._objects = Objects(None, "default", "it is not configured", Options(), self.cancelled.is_set)
        self._releases = Releases("", "default", "it is not configured")

    @answering
    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        inputs = plain(decode(request.news))
        failures = [
            provider_pb2.CheckFailure(property=key, reason=str(NotModelled(NAME, key, "leave it out")))
            for key, value in inputs.items()
            if key not in MODELLED and value not in OFF and not key.startswith("__")
        ]
        if inputs.get("enableServerSideApply") in ("false", False):
            text = str(NotModelled(NAME, "client-side apply", "leave enableServerSideApply on"))
            failures.append(provider_pb2.CheckFailure(property="enableServerSideApply", reason=text))
        if not inputs.get("kubeconfig"):
            text = "a provider without kubeconfig (it would take the one in the environment or at home)"
            refusal = NotModelled(NAME, text, "give the kubeconfig's contents")
            failures.append(provider_pb2.CheckFailure(property="kubeconfig", reason=str(refusal)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    @answering
    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        kinds_of_change = provider_pb2.DiffResponse
        olds, news = plain(decode(request.olds)), plain(decode(request.news))
        changed = sorted(key for key in olds.keys() | news.keys() if olds.get(key) != news.get(key))
        if not changed:
            return kinds_of_change(changes=kinds_of_change.DIFF_NONE)
        replaces = _replacing(olds, news, changed)
        return kinds_of_change(changes=kinds_of_change.DIFF_SOME, diffs=changed, replaces=replaces)

    def configure(self, variables: dict[str, str]) -> None:
        settings = {key.removeprefix("kubernetes:config:"): value for key, value in variables.items()}
        text = settings.get("kubeconfig", "")
        cluster = kubeconfig.load(text, settings.get("context"), settings.get("namespace"))
        client = json.loads(settings.get("kubeClientSettings") or "{}")
        api: Api | None = Api(cluster, float(client.get("timeout") or TIMEOUT_SECONDS))
        unreachable = ""
        try:
            api.version()
        except (Unreachable, ApiError) as error:
            api, unreachable = None, str(error)
        options = Options(
            config_maps_mutable=settings.get("enableConfigMapMutable") == "true",
            patch_force=settings.get("enablePatchForce") == "true",
            upsert=settings.get("upsertExistingObjects") == "true",
        )
        self._objects = Objects(api, cluster.namespace, unreachable, options, self.cancelled.is_set)
        self._releases = Releases(text, cluster.namespace, unreachable)

    @answering
    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        return (self._releases if _release(request) else self._objects).check(request)

    @answering
    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        return (self._releases if _release(request) else self._objects).diff(request)

    @answering
    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        if _release(request):
            with self.outliving_engine():
                return self._releases.create(request)
        return self._objects.create(request, self._status(request.urn))

    @answering
    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        if _release(request):
            with self.outliving_engine():
                return self._releases.update(request)
        return self._objects.update(request, self._status(request.urn))

    @answering
    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        if _release(request):
            with self.outliving_engine():
                return self._releases.delete(request)
        return self._objects.delete(request, self._status(request.urn))

    @answering
    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        return (self._releases if _release(request) else self._objects).read(request)

    def _status(self, urn: str):
        return lambda text: self.log.write(INFO, text, urn, status=True)


def _release(request: Any) -> bool:
    return request.urn.split("::")[2].rpartition("$")[2] == kinds.RELEASE


def _replacing(olds: dict[str, Any], news: dict[str, Any], changed: list[str]) -> list[str]:
    """The arguments whose change means another cluster, so that everything in it is replaced."""
    identifier = news.get("clusterIdentifier")
    if identifier and olds.get("clusterIdentifier") == identifier:
        return []
    # An identifier that comes or goes is no reason: only one that changes.
    replaces = ["clusterIdentifier"] if identifier and olds.get("clusterIdentifier") else []
    unknown = next((key for key in PLACE if news.get(key) is UNKNOWN), None)
    if unknown:
        return [*replaces, unknown]
    before, after = _active(olds), _active(news)
    if before and after and before != after:
        replaces += [key for key in PLACE if key in changed]
    return replaces


def _active(inputs: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return kubeconfig.active(kubeconfig.parse(inputs.get("kubeconfig") or ""), inputs.get("context"))
    except Failure:
        return None
