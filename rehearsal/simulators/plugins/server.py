"""Common parts of both stand-ins: the gRPC service, its log, and its failures."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from rehearsal.simulators.plugins.values import Change, UnsupportedValue, encode

# The engine's own limit for messages (sdk/go/common/util/rpcutil): a state with large outputs has to fit.
MESSAGE_LIMIT: Final = 1024 * 1024 * 400
# A call blocks its thread while a script runs; threads are only made when they are needed.
MOST_CALLS: Final = 512
# How often an official plugin looks for its engine (provider.Main in pulumi/pkg calls rpcutil.Healthcheck).
# For as long as this it works on after somebody has killed the engine.
HEALTH_CHECK_SECONDS: Final = 300

DEBUG = engine_pb2.LogSeverity.DEBUG
INFO = engine_pb2.LogSeverity.INFO
WARNING = engine_pb2.LogSeverity.WARNING


class Failure(Exception):
    """A failed operation. The user sees the text."""


class NotModelled(Failure):
    """A feature of the official plugin that the stand-in lacks. It raises this instead of guessing."""

    def __init__(self, plugin: str, found: str, remedy: str) -> None:
        super().__init__(f"the {plugin} plugin is a stand-in and does not model {found}: {remedy}")


class InitFailed(Failure):
    """The resource exists but did not become ready: the engine keeps it, and the next run updates it."""

    def __init__(self, identity: str, state: Mapping[str, Any], text: str, reasons: list[str]) -> None:
        super().__init__(text)
        self.identity, self.state, self.reasons = identity, state, reasons


class EngineLog:
    """The engine's log."""

    def __init__(self, address: str | None) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address)) if address else None

    def write(
        self, severity: engine_pb2.LogSeverity.ValueType, text: str, urn: str = "", *, status: bool = False
    ) -> None:
        """One message; a `status` replaces the last one in the resource's line and is not kept."""
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=status)
        try:
            self._stub.Log(request, timeout=10)
        except grpc.RpcError:
            pass  # An engine that is going away takes no more messages, and nothing depends on them.


Answer = TypeVar("Answer")


def answering(method: Callable[..., Answer]) -> Callable[..., Answer]:
    """Translates failures of a service method into gRPC errors of the engine."""

    @functools.wraps(method)
    def call(self: StandIn, request: Any, context: grpc.ServicerContext) -> Answer:
        try:
            return method(self, request, context)
        except InitFailed as failed:
            context.set_trailing_metadata((("grpc-status-details-bin", _init_failed(failed)),))
            context.abort(grpc.StatusCode.UNKNOWN, str(failed))
        except Failure as failure:
            context.abort(grpc.StatusCode.UNKNOWN, str(failure))
        except UnsupportedValue as found:
            refusal = NotModelled(self.name, str(found), "use plain values")
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        except Exception as error:  # a mistake of the stand-in: say where, never with which values
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            context.abort(
                grpc.StatusCode.UNKNOWN,
                f"mistake in the {self.name} stand-in: {type(error).__name__} at {where}",
            )
        raise AssertionError("abort raises")

    return call


def _init_failed(failed: InitFailed) -> bytes:
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=failed.identity, properties=encode(failed.state), reasons=failed.reasons
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failed), details=[detail])
    return status.SerializeToString()


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """The part of the service that does not depend on the resources."""

    name: str
    version: str

    def __init__(self, log: EngineLog) -> None:
        self.log = log
        self.cancelled = threading.Event()
        self._lasting_calls = 0
        self._lock = threading.Lock()

    @property
    def is_working(self) -> bool:
        """Whether a call is at work that a killed engine does not end."""
        return self._lasting_calls > 0

    @contextmanager
    def outliving_engine(self) -> Iterator[None]:
        """A call that goes on within the block after the engine has been killed, as in official plugins."""
        with self._lock:
            self._lasting_calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._lasting_calls -= 1

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def Handshake(
        self, request: Any, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        refusal = NotModelled(self.name, "its schema", "install the official plugin to generate code")
        context.abort(grpc.StatusCode.UNIMPLEMENTED, str(refusal))

    @answering
    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    @answering
    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        same = request.olds == request.news
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    @answering
    def Configure(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.ConfigureResponse:
        self.log.write(
            DEBUG,
            f"{self.name} {self.version} is a stand-in for the official plugin, made for rehearsals only",
        )
        self.configure(dict(request.variables))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def configure(self, variables: dict[str, str]) -> None:
        """Takes the provider's configuration; raises Failure when it cannot be used."""

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.cancelled.set()
        return empty_pb2.Empty()


def diff_response(
    found: list[Change], replacing: Callable[[Change], bool], *, delete_first: bool = False
) -> provider_pb2.DiffResponse:
    """A difference in the engine's form; `replacing` has the changes that need a new resource."""
    kinds = provider_pb2.PropertyDiff
    detailed = {}
    for change in found:
        name = change.kind.upper() + ("_REPLACE" if replacing(change) else "")
        detailed[change.text] = provider_pb2.PropertyDiff(
            kind=kinds.Kind.Value(name), inputDiff=change.kind == "delete"
        )
    replaces = [change.text for change in found if replacing(change)]
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if found else response.DIFF_NONE,
        replaces=replaces,
        diffs=sorted({str(change.path[0]) for change in found if change.path}),
        deleteBeforeReplace=delete_first and bool(replaces),
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def ignoring(found: list[Change], ignored: list[str]) -> list[Change]:
    """`found` without what lies at or under an ignored path."""
    return [
        change
        for change in found
        if not any(
            change.text == path or change.text.startswith((f"{path}.", f"{path}[")) for path in ignored
        )
    ]


def serve(make: Callable[[EngineLog], StandIn], arguments: list[str]) -> None:
    """Runs the plugin until the engine ends it. `arguments` are the command line's, without the program."""
    engine = next((argument for argument in arguments if not argument.startswith("-")), None)
    limits = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT),
        ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(MOST_CALLS), options=limits)
    stand_in = make(EngineLog(engine))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(stand_in, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _end_with_parent(stand_in)
    # The engine reads the port from the first line and then stops listening.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _end_with_parent(stand_in: StandIn) -> None:
    """Ends the process when its engine has been killed, after the calls that outlive the engine."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        end = time.monotonic() + HEALTH_CHECK_SECONDS
        while stand_in.is_working and time.monotonic() < end:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
