"""Restarts of the operator's pods that have failed with a configuration from before.

A changed profile is a new key of the ConfigMap, and the old key is gone. The kubelet shows that in a running
pod up to two minutes after the node has its new label. So the config manager finds no file of that name and
ends. Once the new files are there, the link that it has to replace leads nowhere, and it ends each time
("error creating symlink: file exists"; config-manager of NVIDIA/k8s-device-plugin, v0.17 to v0.20). A new
pod has the new files and no link.
"""

from collections.abc import Iterator, Sequence

from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError

from k3sgpu.cluster.client import ApiUnavailable, Snapshot, request_deadline
from k3sgpu.cluster.comparison import DAEMON_SETS, MPS_DAEMON_SET
from k3sgpu.cluster.kinds import Pod
from k3sgpu.cluster.objects import KubernetesObject, is_owned_by, pods_on_node, status_of

_OWNERS = (*DAEMON_SETS, MPS_DAEMON_SET)


class OperandRestarts:
    """Deletes, during one wait, pods that were there at its beginning and have a failed container.

    A DaemonSet's controller makes a new pod. Pods that are newer stay: what fails in them fails again.
    """

    def __init__(self) -> None:
        self._old: set[str] | None = None

    async def restart_failed(
        self, api: AsyncClient, namespace: str, nodes: Sequence[str], snapshot: Snapshot
    ) -> list[str]:
        """Deletes the pods that have failed on `nodes`, each once, and returns their names.

        It ends at the first that the API server does not delete. A later call tries again.
        """
        if self._old is None:
            self._old = {pod["metadata"]["name"] for pod in snapshot.pods}
        deleted = []
        for name in (pod["metadata"]["name"] for pod in failed_pods(nodes, snapshot)):
            if name in self._old:
                try:
                    async with request_deadline(api):
                        await _delete(api, name, namespace)
                except ApiUnavailable:
                    break
                self._old.remove(name)
                deleted.append(name)
        return deleted


def failed_pods(nodes: Sequence[str], snapshot: Snapshot) -> Iterator[KubernetesObject]:
    """The pods on `nodes` that read a configuration and have a container that has failed."""
    for node in nodes:
        for pod in pods_on_node(snapshot.pods, node):
            containers = [
                container
                for kind in ("initContainerStatuses", "containerStatuses")
                for container in status_of(pod).get(kind) or []
            ]
            if any(is_owned_by(pod, owner) for owner in _OWNERS) and any(map(_has_failed, containers)):
                yield pod


def _has_failed(container: KubernetesObject) -> bool:
    """Whether the container ended with an error, and does not run again.

    One that runs may have ended with an error long ago: all do in a reboot.
    """
    state = container.get("state") or {}
    ended = state.get("terminated") or {}
    if (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        ended = (container.get("lastState") or {}).get("terminated") or {}
    return bool(ended.get("exitCode"))


async def _delete(api: AsyncClient, name: str, namespace: str) -> None:
    try:
        await api.delete(Pod, name, namespace=namespace)
    except ApiError as error:
        if error.status.code != 404:  # it is gone already
            raise
