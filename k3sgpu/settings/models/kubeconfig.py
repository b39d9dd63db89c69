"""The section `kubeconfig`: use an existing cluster instead of installing k3s."""

from typing import Annotated, Any

from pydantic import Field

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import Text
from k3sgpu.settings.models.names import LOCAL_PATH, SUBDOMAIN_LIMIT, KubeconfigPath

ContextName = Annotated[
    str,
    Text(
        LOCAL_PATH,
        SUBDOMAIN_LIMIT,
        "the name of a context, in one line",
        "write a name that this prints:\nkubectl config get-contexts -o name",
    ),
]


class Kubeconfig(Model):
    """An existing cluster. The program never connects to its machines, only to its API server."""

    file: KubeconfigPath | None = Field(
        default=None,
        description="the path of the kubeconfig; left out: its text is the secret clusterKubeconfig",
        examples=["~/.kube/config"],
    )
    context: ContextName | None = Field(
        default=None,
        description="the context of the kubeconfig to use; default: its current context",
        examples=["lab"],
    )


def expand_file_path(value: Any) -> Any:
    """Expand the short form `kubeconfig: ~/.kube/config` to `kubeconfig: {file: ~/.kube/config}`."""
    return {"file": value} if isinstance(value, str) else value
