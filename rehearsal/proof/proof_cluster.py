"""The cluster that a proof is made on: its stack file, what runs in it, and what the walk reads of it."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.lab import cluster_summary, objects
from rehearsal.lab.engine import ROOT, EngineFailed
from rehearsal.lab.fixture import StackFixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.proof import card_log

GPU = "nvidia.com/gpu"
CARD_TEST = "k3s-gpu-sharing/card-test:1"
"""The image with the CUDA program (programs/card-test.c)."""
PAUSE = "registry.k8s.io/pause:3.10.2"
"""What the pods run where there is no card to compute on."""
WORKLOAD = "nvidia-plugin-test-2"
SHORT_SECONDS = 30
"""How long a change that the cluster makes by itself may take: a pod that starts or goes."""
DOCTOR_SECONDS = 60
SHOWN_LINES = 30
"""The most lines of the engine in a failure."""
FOR_EVER = ("--seconds", "0")
"""Arguments of the program that computes until it is ended."""
POD_SLICES = 2
"""What each pod of the article's workload asks for."""


class Unexpected(Exception):
    """Something was seen that a proof does not expect."""


@dataclass
class ProofCluster:
    """The stack of a proof. Change `config` of `cluster`, then call `up`."""

    cluster: StackFixture
    has_card: bool
    """False: the machines' cards are simulated, and no program computes."""
    machines: dict[str, RunningMachine] = field(default_factory=dict)
    before: dict[str, set[str]] = field(default_factory=dict)
    """By machine: what was on it before the first `up` (lab.traces)."""

    @property
    def config(self) -> dict[str, Any]:
        """The configuration in the stack file, to change."""
        return self.cluster.config

    @property
    def gpu(self) -> dict[str, Any]:
        """The `gpu` section of the first pool; all pools have alike cards."""
        return next(iter(self.config["pools"].values()))["gpu"]

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes; each has one card."""
        return [host for pool in self.config["pools"].values() for host in pool["hosts"]]

    def use_profile(self, name: str, profile: Mapping[str, Any]) -> None:
        """Makes `profile` the only one, on all nodes."""
        self.config["sharing"]["profiles"] = {name: dict(profile)}
        for pool in self.config["pools"].values():
            pool["gpu"]["profile"] = name

    def set_workload(self, replicas: int, slices: int = POD_SLICES) -> None:
        """Declares the article's workload: pods that compute for ever, each on some slices."""
        self.config["workloads"] = {
            WORKLOAD: {"replicas": replicas, "gpus": slices, **self.program(*FOR_EVER)}
        }

    def program(self, *arguments: str) -> dict[str, Any]:
        """The image and command of a container that computes; without a card, of one that waits."""
        if not self.has_card:
            return {"image": PAUSE}
        return {"image": CARD_TEST, "command": ["card-test"], "args": list(arguments)}

    def settings(self) -> s.Settings:
        """The settings of the configuration as it is now. Raises SettingsError."""
        self.cluster.write_stack_file()
        return self.cluster.stack.settings()

    def predicted_message(self) -> str:
        """The message that `fit` expects of the first pod without a slice. Raises Unexpected if all fit."""
        settings = self.settings()
        pending = capacity.fit(settings, capacity.offers(settings)).pending
        if not pending:
            raise Unexpected("found a fit that leaves no pod Pending, expected one that does")
        return pending[0].message

    def up(self) -> str:
        """Runs `pulumi up`. Returns how many resources it has created, changed and left alone."""
        return self.run_engine(self.cluster.up)

    def run_engine(self, operation: Callable[[], Mapping[str, int] | None]) -> str:
        """Runs an operation of the engine, and returns its resources in words.

        Raises Unexpected with the end of what the engine has printed.
        """
        before = len(self.cluster.output)
        try:
            return counts_in_words(operation() or {})
        except EngineFailed as error:
            printed = "\n".join(diagnostics(self.cluster.output[before:])[-SHOWN_LINES:])
            raise Unexpected(f"{error}:\n{printed}") from None

    def pod_manifest(
        self, name: str, *arguments: str, slices: int = 0, env: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """A pod that runs the program with `arguments`; with `slices` 0 it requests none."""
        container: dict[str, Any] = {
            "name": "main",
            "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
            **self.program(*arguments),
        }
        if slices:
            container["resources"] = {"limits": {GPU: str(slices)}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"restartPolicy": "Never", "runtimeClassName": "nvidia", "containers": [container]},
        }

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Creates an object beside the stack, as a user does."""
        self.cluster.kubectl("create", "--filename", "-", stdin=json.dumps(manifest))

    def delete(self, *what: str) -> None:
        """Deletes an object and waits until it is gone."""
        self.cluster.kubectl("delete", "--wait", "--timeout", f"{SHORT_SECONDS}s", *what)

    def pods(self, app: str = WORKLOAD) -> dict[str, dict[str, Any]]:
        """The pods of a Deployment by name, without those that are being deleted."""
        found = objects.pods(self.cluster, app).values()
        return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    def wait_for_running(self, number: int) -> dict[str, dict[str, Any]]:
        """Waits until the workload has so many pods and all run, and returns them."""

        def look() -> dict[str, dict[str, Any]] | None:
            pods = self.pods()
            return pods if phases(pods) == {"Running": number} else None

        return wait_until(f"{number} Running pods of {WORKLOAD} and no others", look, SHORT_SECONDS)

    def wait_for_scheduler(self, pod: str) -> str:
        """Waits until the scheduler says why a pod has no node, and returns that."""
        return wait_until(
            f"the scheduler's message about pod {pod}",
            lambda: scheduler_message(self.cluster.get("pod", pod)),
            SHORT_SECONDS,
        )

    def wait_for_phase(self, pod: str, *wanted: str) -> None:
        """Waits until a pod is in one of the wanted phases."""
        wait_until(
            f"pod {pod}: {' or '.join(wanted)}",
            lambda: self.cluster.get("pod", pod)["status"].get("phase") in wanted,
            SHORT_SECONDS,
        )

    def wait_for_end(self, pod: str) -> card_log.CardLog:
        """Waits until a pod has ended, and returns its log."""
        self.wait_for_phase(pod, "Succeeded", "Failed")
        return self.log(pod)

    def log(self, pod: str) -> card_log.CardLog:
        """What the program in a pod has printed so far."""
        return card_log.parse(self.cluster.kubectl("logs", pod))

    def allocated(self) -> int:
        """The slices that pods hold on all nodes."""
        taken = cluster_summary.allocated(self.cluster.get("pods", "--all-namespaces")["items"])
        return sum(resources.get(GPU, 0) for resources in taken.values())

    def run_everywhere(self, command: str) -> dict[str, str]:
        """What a shell command prints on each machine."""
        return {name: self.cluster.run_on(machine, command) for name, machine in self.machines.items()}

    def doctor(self, *command: str) -> str:
        """What `doctor hosts` or `doctor cluster` says."""
        words = [
            sys.executable,
            "-m",
            "k3sgpu",
            "doctor",
            *command,
            "--file",
            str(self.cluster.stack.stack_file),
        ]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=DOCTOR_SECONDS)
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """The configuration, which is as before again when the block has ended."""
        before = copy.deepcopy(self.config)
        try:
            yield self.config
        finally:
            self.config.clear()
            self.config.update(before)


def expect(what: str, found: object, expected: object) -> None:
    """Raises Unexpected unless both are equal."""
    if found != expected:
        raise Unexpected(f"{what}: found {found!r}, expected {expected!r}")


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Resources by operation: "28 create", "2 update, 26 same"."""
    return ", ".join(f"{count} {operation}" for operation, count in sorted(counts.items())) or "nothing"


def diagnostics(printed: Sequence[str]) -> Sequence[str]:
    """The part of the engine's output that says what went wrong; all of it if it has no such part."""
    if "Diagnostics:" not in printed:
        return printed
    part = printed[printed.index("Diagnostics:") + 1 :]
    ends = [index for index, line in enumerate(part) if line in ("Outputs:", "Resources:")]
    return part[: ends[0]] if ends else part


def phases(pods: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How many pods are in each phase."""
    return Counter(pod["status"].get("phase", "") for pod in pods.values())


def scheduler_message(pod: Mapping[str, Any]) -> str:
    """Why the scheduler has found no node for a pod; empty while it has not said so."""
    return next(
        (
            one.get("message", "")
            for one in pod["status"].get("conditions", [])
            if one["type"] == "PodScheduled" and one["status"] == "False"
        ),
        "",
    )


def is_predicted(message: str, predicted: str) -> bool:
    """Whether the scheduler's message is the predicted one. It goes on with what preemption could not do."""
    return message == predicted or message.startswith(predicted + " ")


def starts(pods: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """By pod: when its container has started, and how often it was started again."""
    return {
        name: (status["state"].get("running", {}).get("startedAt", ""), status["restartCount"])
        for name, pod in pods.items()
        for status in pod["status"].get("containerStatuses", [])
    }
