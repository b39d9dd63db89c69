"""Describes a cluster in which a step has failed, before its machines are removed."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.lab import ssh
from rehearsal.lab.fixture import StackFixture
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError

OPERATOR = ("--namespace", "gpu-operator")
QUESTIONS = (
    ("get", "nodes", "--output", "wide", "--show-labels"),
    ("get", "pods", "--all-namespaces", "--output", "wide"),
    ("get", "events", "--all-namespaces", "--sort-by", ".metadata.creationTimestamp"),
    ("describe", "nodes"),
    ("describe", "pods", *OPERATOR),
    ("describe", "pods", "--namespace", "default"),
)
MACHINE_QUESTIONS = (
    "journalctl --no-pager -n 150 -u 'k3s*'",
    "tail -n 60 /var/lib/rancher/k3s/agent/containerd/containerd.log",
    "cat /etc/nvidia-container-runtime/config.toml; ls -l /var/run/cdi /run/nvidia/validations; nvidia-smi",
    "ps -e -o pid,stat,rss,args --sort=pid | cut -c1-200; head -3 /proc/meminfo",
)
LOG_LINES = "40"


def describe(cluster: StackFixture, machines: dict[str, RunningMachine]) -> str:
    """What the API server, pods and machines say, as text. A question that gets no answer has its error."""
    parts = [*from_cluster(cluster)]
    for name, machine in machines.items():
        for command in MACHINE_QUESTIONS:
            try:
                said = ssh.run(machine, f"({command}) 2>&1; :")
            except RehearsalError as error:
                said = str(error)
            parts.append(answer(f"{name}: {command}", said))
    return "\n".join(parts)


def from_cluster(cluster: StackFixture) -> Iterator[str]:
    """The answers of the API server, up to the first that fails."""
    try:
        for words in QUESTIONS:
            yield answer(" ".join(words), cluster.kubectl(*words))
        for pod in cluster.kubectl("get", "pods", *OPERATOR, "--output", "name").split():
            yield answer(f"logs of {pod}", logs(cluster, pod))
    except RehearsalError as error:
        yield answer("no further answer of the API server", str(error))


def answer(question: str, said: str) -> str:
    """A question with its answer."""
    return f"--- {question}\n{said.rstrip()}\n"


def logs(cluster: StackFixture, pod: str) -> str:
    """The end of the logs of all containers of a pod of the operator, or why there are none."""
    try:
        options = ("--all-containers", "--prefix", "--tail", LOG_LINES)
        return cluster.kubectl("logs", pod, *OPERATOR, *options)
    except RehearsalError as error:
        return str(error)
