"""Objects of the API: what Check, Diff, Create, Read, Update and Delete do with them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from rehearsal.simulators.plugins.kubernetes import NAME, awaiting, kinds, secrecy
from rehearsal.simulators.plugins.kubernetes.api import (
    BUILT_IN,
    CREATE_MANAGER,
    Api,
    ApiError,
    Object,
    UnknownKind,
    Unreachable,
)
from rehearsal.simulators.plugins.server import Failure, InitFailed, NotModelled, diff_response, ignoring
from rehearsal.simulators.plugins.values import changes, decode, encode, has_unknown, plain

MANAGER: Final = "pulumi.com/patchFieldManager"
FORCE: Final = "pulumi.com/patchForce"
PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
REFUSED: Final = ("pulumi.com/replaceUnready",)
# Fields of metadata that only the server writes: never inputs.
READ_ONLY: Final = {
    *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields"),
    *("resourceVersion", "uid"),
}
# Managers whose fields an update takes over, as the official plugin does: its own creates, and kubectl. By
# the beginnings of their names, because kubectl create and kubectl apply have names of their own.
TAKEN_OVER: Final = (
    *(("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update")),
    *((CREATE_MANAGER, "Update"), ("pulumi-resource-kubernetes", "Update")),
)
# A namespace or a custom resource's kind may be created a moment after what needs it.
CREATE_RETRIES: Final = 5


@dataclass(frozen=True)
class Options:
    """What the provider was configured with."""

    config_maps_mutable: bool = False
    patch_force: bool = False
    upsert: bool = False
    """Whether an existing object is updated instead of an error on create."""


class Objects:
    """The objects of one API server. `api` is None when it does not answer: `unreachable` says why."""

    def __init__(
        self,
        api: Api | None,
        namespace: str,
        unreachable: str,
        options: Options,
        cancelled: Callable[[], bool],
    ) -> None:
        self._api, self._namespace, self._unreachable = api, namespace, unreachable
        self._options, self._cancelled = options, cancelled

    def check(self, request: Any) -> provider_pb2.CheckResponse:
        kind = kinds.of(request.urn)
        inputs = decode(request.news)
        metadata = plain(inputs).get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name"):
            raise NotModelled(NAME, f"names that it makes itself ({kind.token})", "set metadata.name")
        for annotation in REFUSED:
            if annotation in (metadata.get("annotations") or {}):
                raise NotModelled(NAME, f"the annotation {annotation}", "leave it out")
        values = plain(inputs)
        if not has_unknown(values):
            values = _without_read_only(kinds.normalised(values))
        if "namespace" not in values["metadata"] and self._placed(kind, values):
            values["metadata"] = values["metadata"] | {"namespace": self._namespace}
        return provider_pb2.CheckResponse(inputs=encode(secrecy.annotated(values, inputs)))

    def _placed(self, kind: kinds.Kind, values: Object) -> bool:
        """Whether the inputs get the default namespace.

        Those of a custom resource's patch always do: the official plugin asks for the kind with "Patch" at
        its end, which no server knows, and takes what is unknown to live in a namespace.
        """
        return kind.custom or BUILT_IN[values["apiVersion"], values["kind"]][1]

    def _cluster_wide(self, obj: Object) -> bool:
        """Whether `obj` is known not to live in a namespace."""
        known = BUILT_IN.get((obj["apiVersion"], obj["kind"]))
        if known:
            return not known[1]
        try:
            return self._api is not None and not self._api.namespaced(obj["apiVersion"], obj["kind"])
        except (UnknownKind, Unreachable):
            return False

    def _sent(self, obj: Object) -> Object:
        """`obj` as the server wants it: without the namespace that it was given by mistake."""
        return _without_namespace(obj) if self._cluster_wide(obj) else obj

    def diff(self, request: Any) -> provider_pb2.DiffResponse:
        kind = kinds.of(request.urn)
        old_inputs, live = secrecy.parted(decode(request.olds))
        new = plain(decode(request.news))
        old = secrecy.pruned(live, old_inputs)
        old.setdefault("apiVersion", live.get("apiVersion"))
        old.setdefault("kind", live.get("kind"))
        # As in the official plugin: what no server is there to place lies in `default` both times.
        placed = _without_namespace if self._cluster_wide(new) else _in_a_namespace
        old, new = placed(old), placed(new)
        found = ignoring(changes(old, new), list(request.ignoreChanges))
        fixed = kind.fixed(new, config_maps_mutable=self._options.config_maps_mutable)
        same_place = all(
            new["metadata"].get(key) == live["metadata"].get(key) for key in ("name", "namespace")
        )
        return diff_response(found, lambda change: kinds.replaces(change, fixed), delete_first=same_place)

    def create(self, request: Any, status: awaiting.Status) -> provider_pb2.CreateResponse:
        kind = kinds.of(request.urn)
        inputs = decode(request.properties)
        obj = self._sent(plain(inputs))
        if request.preview and (has_unknown(obj) or kind.patch or not self._kind_exists(obj)):
            return provider_pb2.CreateResponse(properties=request.properties)
        api = self._reachable()
        manager = _manager({}, obj)
        try:
            live = self._create(api, kind, obj, manager, request.preview)
        except ApiError as error:
            if request.preview and (error.code == 403 or error.namespace_missing or _exists(error)):
                return provider_pb2.CreateResponse(properties=request.properties)
            raise Failure(_not_created(request.urn, error)) from None
        if request.preview:
            live.pop("status", None)
            return provider_pb2.CreateResponse(properties=encode(secrecy.checkpoint(live, inputs, manager)))
        live = self._await(api, request, live, inputs, manager, status)
        properties = encode(secrecy.checkpoint(live, inputs, manager))
        return provider_pb2.CreateResponse(id=_identity(live), properties=properties)

    def _create(self, api: Api, kind: kinds.Kind, obj: Object, manager: str, preview: bool) -> Object:
        """Raises ApiError when it cannot be created; what is missing may come, so it tries for a while."""
        delay = 1
        for attempt in range(CREATE_RETRIES + 1):
            try:
                if kind.patch or self._options.upsert:
                    return api.apply(obj, manager, force=self._forced(obj), dry_run=preview)
                return api.create(obj, dry_run=preview)
            except ApiError as error:
                last = attempt == CREATE_RETRIES or (preview and error.namespace_missing)
                if error.code != 404 or last or self._cancelled():
                    raise
            time.sleep(delay)
            delay *= 2
        raise AssertionError("the last attempt raises")

    def update(self, request: Any, status: awaiting.Status) -> provider_pb2.UpdateResponse:
        kind = kinds.of(request.urn)
        state, inputs = decode(request.olds), decode(request.news)
        obj = self._sent(plain(inputs))
        if request.preview and (has_unknown(obj) or not self._kind_exists(obj)):
            return provider_pb2.UpdateResponse(properties=request.news)
        if request.ignoreChanges:
            raise NotModelled(NAME, "ignoreChanges on an update", "leave it out")
        api = self._reachable()
        before, manager = plain(state).get(secrecy.MANAGER, ""), _manager(state, obj)
        try:
            live = self._update(api, kind, obj, manager, request.preview)
        except ApiError as error:
            if request.preview and error.code == 403:
                return provider_pb2.UpdateResponse(properties=request.news)
            raise self._not_updated(api, request, obj, inputs, manager, error) from None
        if not request.preview:
            live = self._await(api, request, live, inputs, manager, status)
            if before and before != manager:
                _relinquish(api, live, before)
        return provider_pb2.UpdateResponse(properties=encode(secrecy.checkpoint(live, inputs, manager)))

    def _update(self, api: Api, kind: kinds.Kind, obj: Object, manager: str, preview: bool) -> Object:
        live = api.get(obj)
        managed = live["metadata"].get("managedFields") or []
        force = self._forced(obj) or not managed
        if not kind.patch:
            ours = _taken_over(managed, manager)
            if preview:
                force = force or ours != managed
            elif ours != managed:
                live = api.patch(live, _hand_over(live, ours))
        return api.apply(obj, manager, force=force, dry_run=preview)

    def _not_updated(
        self, api: Api, request: Any, obj: Object, inputs: Object, manager: str, error: ApiError
    ) -> Failure:
        """The state after a failed update: the object is unchanged, the new inputs are marked as failed."""
        text = f"update of resource {request.urn} failed: {_explained(error)}"
        if request.preview:
            return Failure(text)
        try:
            live = api.get(obj)
        except ApiError:
            return Failure(text)
        return InitFailed(_identity(live), secrecy.checkpoint(live, inputs, manager), text, [text])

    def read(self, request: Any) -> provider_pb2.ReadResponse:
        api = self._reachable()
        state, inputs = decode(request.properties), decode(request.inputs)
        imported = not inputs and not state
        obj = kinds.identified(request.urn, request.id) if imported else self._sent(plain(inputs))
        try:
            live = api.get(obj)
        except ApiError as error:
            if error.code == 404:
                return provider_pb2.ReadResponse()
            raise
        if imported:
            seen = kinds.found_inputs(request.urn, live)
        else:
            seen = secrecy.annotated(secrecy.pruned(live, obj), inputs)
        checkpoint = secrecy.checkpoint(live, seen, _manager(state, obj))
        try:
            awaiting.check(api, live)
        except awaiting.NotReady as found:
            text = str(found)
            raise InitFailed(request.id, checkpoint, text, [text, *found.reasons]) from None
        return provider_pb2.ReadResponse(id=request.id, properties=encode(checkpoint), inputs=encode(seen))

    def delete(self, request: Any, status: awaiting.Status) -> empty_pb2.Empty:
        api = self._reachable()
        kind = kinds.of(request.urn)
        state = decode(request.properties)
        inputs, live = secrecy.parted(state)
        try:
            if kind.patch:
                _relinquish(api, live, _manager(state, inputs))
                return empty_pb2.Empty()
            annotations = inputs["metadata"].get("annotations") or {}
            api.delete(live, annotations.get(PROPAGATION, "Foreground").capitalize())
        except ApiError as error:
            if error.code == 404:
                return empty_pb2.Empty()
            raise Failure(_explained(error)) from None
        skip = annotations.get(awaiting.SKIP) == "true" and kind.name != "ConfigMap"
        if not skip:
            seconds = awaiting.timeout_seconds(request.timeout, annotations)
            awaiting.gone(api, live, seconds, status, self._cancelled)
        return empty_pb2.Empty()

    def _await(
        self, api: Api, request: Any, live: Object, inputs: Object, manager: str, status: awaiting.Status
    ) -> Object:
        annotations = live["metadata"].get("annotations") or {}
        seconds = awaiting.timeout_seconds(request.timeout, annotations)
        try:
            ready = awaiting.ready(api, live, seconds, status, self._cancelled)
        except awaiting.NotReady as found:
            text = f"{request.urn} exists, but is not ready: {found}"
            state = secrecy.checkpoint(found.live, inputs, manager)
            raise InitFailed(_identity(live), state, text, [text, *found.reasons]) from None
        status("")
        return ready

    def _reachable(self) -> Api:
        if self._api is None:
            raise Failure(f"the configured Kubernetes cluster is unreachable: {self._unreachable}")
        return self._api

    def _kind_exists(self, obj: Object) -> bool:
        try:
            return self._api is not None and self._api.namespaced(obj["apiVersion"], obj["kind"]) is not None
        except UnknownKind:
            return False

    def _forced(self, obj: Object) -> bool:
        annotations = obj["metadata"].get("annotations") or {}
        return self._options.patch_force or annotations.get(FORCE) == "true"


def _without_read_only(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in READ_ONLY}
    return obj | {"metadata": metadata}


def _in_a_namespace(obj: Object) -> Object:
    return obj | {"metadata": {"namespace": "default"} | obj["metadata"]}


def _without_namespace(obj: Object) -> Object:
    return obj | {"metadata": {key: value for key, value in obj["metadata"].items() if key != "namespace"}}


def _manager(state: Object, inputs: Object) -> str:
    """The field manager: the annotation's, else the state's, else a new one of its own."""
    annotated = (inputs.get("metadata", {}).get("annotations") or {}).get(MANAGER)
    return annotated or plain(state).get(secrecy.MANAGER) or f"{CREATE_MANAGER}-{secrets.token_hex(4)}"


def _identity(live: Object) -> str:
    metadata = live["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]


def _exists(error: ApiError) -> bool:
    return error.reason == "AlreadyExists"


def _not_created(urn: str, error: ApiError) -> str:
    text = f"resource {urn} was not created by the Kubernetes API server: {_explained(error)}"
    if _exists(error):
        text += "\nDelete it, import it with the official plugin, or change fields of it by a Patch resource."
    if isinstance(error, UnknownKind):
        text += "\nIts CustomResourceDefinition has to be there first: depend on what installs it."
    return text


def _explained(error: ApiError) -> str:
    if error.reason == "Conflict":
        return f'another field manager owns this (annotation {FORCE}: "true" takes it): {error}'
    return str(error)


def _relinquish(api: Api, live: Object, manager: str) -> None:
    """Gives up all fields of `manager`: an application of nothing but the object's identity."""
    identity = {key: live["metadata"][key] for key in ("name", "namespace") if live["metadata"].get(key)}
    api.apply({"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": identity}, manager)


def _taken_over(managed: list[Object], manager: str) -> list[Object]:
    """`managed` with the fields of TAKEN_OVER given to `manager`."""
    taken = [entry for entry in managed if _is_taken_over(entry)]
    if not taken:
        return managed
    ours = next(
        (e for e in managed if _entry_key(e) == (manager, "Apply") and not e.get("subresource")), None
    )
    fields = ours["fieldsV1"] if ours else {}
    for entry in taken:
        fields = _union(fields, entry["fieldsV1"])
    merged = taken[-1] | {"manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [entry for entry in managed if entry not in taken and entry is not ours] + [merged]


def _is_taken_over(entry: Object) -> bool:
    name, operation = _entry_key(entry)
    return not entry.get("subresource") and any(
        name.startswith(beginning) and operation == taken for beginning, taken in TAKEN_OVER
    )


def _entry_key(entry: Object) -> tuple[str, str]:
    return entry.get("manager", ""), entry.get("operation", "")


def _union(one: Object, other: Object) -> Object:
    return one | {key: _union(one.get(key, {}), inner) for key, inner in other.items()}


def _hand_over(live: Object, managed: list[Object]) -> list[Object]:
    version = live["metadata"]["resourceVersion"]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": managed},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]
