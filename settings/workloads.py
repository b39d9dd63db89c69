"""workloads: Deployments that use slices. What they run by default is the container of the article."""

from typing import Any

from pydantic import Field

from .base import Model, Strings
from .names import LabelKey, LabelValue, Name, Resource
from .sharing import GPU

ARTICLE_IMAGE = "nvidia/samples:dcgmproftester-2.0.10-cuda11.0-ubuntu18.04"
"""Keeps a card's tensor cores busy; from the Deployments nvidia-plugin-test and nvidia-plugin-test-2."""
ARTICLE_COMMAND = ("/bin/sh", "-c")
ARTICLE_ARGS = (
    "while true; do /usr/bin/dcgmproftester11 --no-dcgm-validation -t 1004 -d 300; sleep 30; done",
)


def _command(data: dict[str, Any]) -> tuple[str, ...]:
    """Another image runs its own entry point: the article's command exists in the article's image only."""
    return ARTICLE_COMMAND if data["image"] == ARTICLE_IMAGE else ()


def _args(data: dict[str, Any]) -> tuple[str, ...]:
    return ARTICLE_ARGS if data["image"] == ARTICLE_IMAGE and data["command"] == ARTICLE_COMMAND else ()


def _capabilities(data: dict[str, Any]) -> tuple[str, ...]:
    """The article's program reads the card's counters, which the kernel grants to SYS_ADMIN alone."""
    return ("SYS_ADMIN",) if data["image"] == ARTICLE_IMAGE else ()


class Workload(Model):
    """A Deployment: so many pods, each with so many slices."""

    replicas: int = Field(default=1, ge=0, description="how many pods", examples=[1])
    gpus: int = Field(
        default=1, ge=1, description="slices (or whole cards) each pod asks for, at least 1", examples=[1]
    )
    resource: Resource = Field(default=GPU, description="the resource each pod asks for", examples=[GPU])
    namespace: Name = Field(default="default", description="the namespace of the pods", examples=["default"])
    image: str = Field(
        default=ARTICLE_IMAGE, min_length=1, description="the container image", examples=[ARTICLE_IMAGE]
    )
    command: Strings = Field(
        default_factory=_command,
        description="the container's command, a list",
        examples=['["/bin/sh", "-c"]'],
    )
    args: Strings = Field(
        default_factory=_args,
        description="the command's arguments, a list",
        examples=['["nvidia-smi -l 30"]'],
    )
    capabilities: Strings = Field(
        default_factory=_capabilities,
        description="Linux capabilities the container gets on top of the usual ones",
        examples=["[SYS_ADMIN]"],
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={},
        description="labels a node must have",
        examples=["{accelerator: NVIDIA-GeForce-RTX-2080-Ti}"],
    )
