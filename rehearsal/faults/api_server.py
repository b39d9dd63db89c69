"""Faults of the cluster's API server: it is down while the engine works."""

import functools
from collections.abc import Iterator

from rehearsal.faults.context import SERVER, FaultContext
from rehearsal.faults.fault import fault, problem
from rehearsal.faults.sharing import set_slices

AREA = "api-server"
REMEDY = "`systemctl start k3s` on the server"
api_server_fault = functools.partial(fault, AREA, scope="full")


def keep_generation(context: FaultContext) -> None:
    """Takes back the generation that every `change` raises: converge would start k3s on the server."""
    context.config["k3s"]["generation"] -= 1


@api_server_fault(
    "change",
    r"drain: the API server https://10\.77\.0\.213:6443: .*; asked for \d+ s",
    r"remedy: on the server: sudo systemctl status k3s",
    max_seconds=120,
    remedy=REMEDY,
)
def api_down_at_up(context: FaultContext) -> Iterator[None]:
    """the API server is down when a sharing profile changes"""
    keep_generation(context)
    set_slices(context, 5)
    with context.api_server_stopped():
        yield
    set_slices(context, 6)


@api_server_fault(
    "change",
    problem("nvidia-plugin-test-2", "the cluster's API server does not answer"),
    r"https://10\.77\.0\.213:6443",
    r"systemctl status k3s; journalctl -u k3s",
    max_seconds=60,
    remedy=REMEDY,
)
def api_down_at_a_workload(context: FaultContext) -> Iterator[None]:
    """the API server is down when a workload changes"""
    keep_generation(context)
    context.config["workloads"]["nvidia-plugin-test-2"]["replicas"] = 1
    with context.api_server_stopped():
        yield
    context.config["workloads"]["nvidia-plugin-test-2"]["replicas"] = 2


@api_server_fault(
    "change",
    max_seconds=120,
    remedy="converge starts k3s on the server, and the change succeeds",
    fails=False,
)
def server_stopped(context: FaultContext) -> Iterator[None]:
    """k3s is stopped on the server when an `up` runs converge on every machine"""
    context.run_on(SERVER, "systemctl stop k3s")
    yield


@api_server_fault(
    "refresh",
    r"unreachable|connection refused",
    max_seconds=120,
    remedy=f"{REMEDY}; the state has lost nothing",
)
def api_down_at_refresh(context: FaultContext) -> Iterator[None]:
    """the API server is down during a refresh"""
    with context.api_server_stopped():
        yield


@api_server_fault(
    "destroy",
    max_seconds=120,
    remedy="a destroy does not need the API server: the cluster goes with its machines",
    fails=False,
)
def api_down_at_destroy(context: FaultContext) -> Iterator[None]:
    """the API server is down during a destroy"""
    context.run_on(SERVER, "systemctl stop k3s")
    yield
