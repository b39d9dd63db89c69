"""Runs entries of the catalogue, as many as possible on one stack, and checks what each one left."""

from __future__ import annotations

import contextlib
import copy
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.faults import leaks
from rehearsal.faults.context import AGENT, SERVER, FaultContext, none_on_error
from rehearsal.faults.fault import Fault, Scope
from rehearsal.lab.fixture import stack_config, stack_fixture, wait_until
from rehearsal.toolchain.golang import K3S_RELEASES, K3S_VERSION

# One runner for each scope may work at the same time, so their addresses differ.
ADDRESSES: Mapping[Scope, Mapping[str, str]] = {
    "k3s": {SERVER: "10.77.0.211", AGENT: "10.77.0.212"},
    "full": {SERVER: "10.77.0.213", AGENT: "10.77.0.214"},
}
# What this program, k3s and the operator install on a machine; a destroy leaves none of it.
INSTALLED_PATHS = (
    "/usr/local/bin/k3s /etc/rancher /var/lib/rancher /etc/k3s-gpu-sharing /usr/local/lib/k3s-gpu-sharing"
)
READY = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
SHOWN_LINES = 60


@dataclass(frozen=True)
class Result:
    """The outcome of one entry."""

    fault: Fault
    seconds: float
    """How long the operation took."""
    failure: str = ""
    """Why the entry failed; empty when it passed."""

    @property
    def passed(self) -> bool:
        """Whether the entry passed."""
        return not self.failure


class Runner:
    """Runs one entry after the other. After a failure the next entry gets a new stack."""

    def __init__(self, folder: Path, log: Callable[[str], object]) -> None:
        self._folder, self._log = folder, log
        self._open = contextlib.ExitStack()
        self._context: FaultContext | None = None
        self._sampler: leaks.Sampler | None = None
        self._scope: Scope | None = None
        self._has_cluster = False
        self._stacks = 0

    def close(self) -> None:
        """Removes the machines and the temporary files."""
        self._open.close()
        self._context, self._has_cluster = None, False

    def run(self, fault: Fault) -> Result:
        """Runs one entry: inject, operate, remedy, operate again, check. Returns failures, raises none."""
        self._log(f"{fault.name}: {fault.description} ({fault.when})")
        seconds = 0.0
        try:
            context = self._prepare(fault)
            config = copy.deepcopy(context.config)
            injection = fault.injection(context)
            next(injection)
            seconds, output = run_operation(context, fault)
            check_output(fault, seconds, output)
            next(injection, None)
            if fault.fails:
                operation_of(context, fault)()
            self._has_cluster = {"preview": self._has_cluster, "destroy": False}.get(fault.when, True)
            self._check_afterwards(context, fault)
            # The k3s section stays as the machines have it: the next generation must differ from it.
            context.config.update(config, k3s=context.config["k3s"])
        except Exception as error:
            if self._context:
                self._log("\n".join(self._context.cluster.output[-SHOWN_LINES:]))
            self._log(traceback.format_exc())
            with contextlib.suppress(Exception):
                self.close()
            return Result(fault, seconds, f"{type(error).__name__}: {error}"[:500])
        return Result(fault, seconds)

    def _check_afterwards(self, context: FaultContext, fault: Fault) -> None:
        if self._has_cluster:
            check_healthy(context, fault.scope)
        else:
            check_clean(context)
        assert self._sampler
        found = leaks.scan(context.cluster, context.machines, self._sampler)
        assert not found, f"leaked: {'; '.join(found)}"

    def _prepare(self, fault: Fault) -> FaultContext:
        """A stack in the state in which the entry starts."""
        if self._context is None or self._scope != fault.scope:
            self.close()
            self._context = self._new_stack(fault.scope)
        context, k3s = self._context, self._context.config["k3s"]
        starts_empty = fault.when == "first up"
        no_next_release = fault.when == "upgrade" and k3s["version"] == K3S_RELEASES[-1]
        if self._has_cluster and (starts_empty or no_next_release):
            context.cluster.destroy()
            self._has_cluster = False
        if not self._has_cluster:
            k3s["version"] = K3S_RELEASES[0] if fault.when == "upgrade" else K3S_VERSION
        if not self._has_cluster and not starts_empty:
            context.cluster.up()
            self._has_cluster = True
        if fault.when == "change":
            context.raise_generation()
        if fault.when == "upgrade":
            context.select_next_release()
        return context

    def _new_stack(self, scope: Scope) -> FaultContext:
        self._scope = scope
        self._stacks += 1
        folder = self._folder / f"{scope}-{self._stacks}"
        self._sampler = self._open.enter_context(leaks.sampling(folder / "temporary"))
        secrets: dict[str, str] = {}
        cluster = self._open.enter_context(
            stack_fixture(f"faults-{scope}", folder, config_of(scope), secrets)
        )
        return FaultContext(cluster, cluster.start_machines(), secrets)


def config_of(scope: Scope) -> dict[str, Any]:
    """The configuration of a scope's stack."""
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: ADDRESSES[scope][SERVER]}
    config["pools"]["rtx"]["hosts"] = {AGENT: ADDRESSES[scope][AGENT]}
    if scope == "k3s":
        config["gpuOperator"]["enabled"] = False
        config["workloads"] = {}
    return config


def operation_of(context: FaultContext, fault: Fault) -> Callable[[], object]:
    """The operation that runs with the fault, and again after the remedy."""
    cluster = context.cluster

    def refresh_and_up() -> None:
        cluster.refresh()
        cluster.up()

    operations = {"preview": cluster.preview, "refresh": refresh_and_up, "destroy": cluster.destroy}
    return operations.get(fault.when, cluster.up)


def run_operation(context: FaultContext, fault: Fault) -> tuple[float, str]:
    """Runs the operation with the fault: its seconds, and what the engine printed.

    Raises AssertionError when it should fail and does not, EngineFailed when it should succeed and does not.
    """
    first_line, began = len(context.cluster.output), time.monotonic()
    operation = operation_of(context, fault)
    if fault.fails:
        context.cluster.expect_failure(operation)
    else:
        operation()
    seconds = time.monotonic() - began
    context.wait_for_watchers()
    return seconds, "\n".join(context.cluster.output[first_line:])


def check_output(fault: Fault, seconds: float, output: str) -> None:
    """Raises AssertionError unless the engine printed what the entry expects, in time."""
    missing = [text for text in fault.expected_output if not re.search(text, output, re.IGNORECASE)]
    assert not missing, f"not printed: {missing}"
    assert seconds <= fault.max_seconds, f"took {seconds:.0f} s, at most {fault.max_seconds} allowed"


def check_clean(context: FaultContext) -> None:
    """Raises AssertionError unless the state is empty and the machines are clean."""
    assert context.cluster.resources() == {}, f"still in the state: {list(context.cluster.resources())}"
    for host in context.machines:
        left = context.run_on(host, f"ls -d {INSTALLED_PATHS} 2>/dev/null || :")
        assert not left, f"still on {host}: {left}"


def check_healthy(context: FaultContext, scope: Scope) -> None:
    """Raises AssertionError unless the cluster is ready and a preview changes nothing."""
    cluster = context.cluster
    changes = cluster.preview()
    assert set(changes) == {"same"}, f"the next up would change something: {changes}"
    ready, hosts = ("get", "nodes", "--output", READY), len(cluster.stack.settings().machines)
    all_ready = " ".join(["True"] * hosts)
    wait_until("all nodes Ready", lambda: none_on_error(lambda: cluster.kubectl(*ready) == all_ready))
    if scope == "full":
        wait_until("six slices", lambda: none_on_error(lambda: context.allocatable_slices() == "6"))


@contextlib.contextmanager
def runner(folder: Path, log: Callable[[str], object]) -> Iterator[Runner]:
    """A runner whose machines are removed when the block ends."""
    one = Runner(folder, log)
    try:
        yield one
    finally:
        one.close()
