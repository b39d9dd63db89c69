"""The section `verify`: a Job on each GPU node that must compute on one slice."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import Seconds
from k3sgpu.settings.models.images import Image
from k3sgpu.settings.models.workloads import VECTORADD


class Verify(Model):
    """A Job on each GPU node that must compute on one slice before the workloads are created."""

    enabled: bool = Field(default=False, description="true: run the Job on each GPU node", examples=["true"])
    strict: bool = Field(
        default=False,
        description="true: a node whose Job fails makes `pulumi up` fail; false: it is reported as a warning",
        examples=["true"],
    )
    image: Image = Field(
        default=VECTORADD,
        description="a container image that computes on a GPU and exits with 0 when the result is correct",
        examples=[VECTORADD],
    )
    timeout_seconds: Seconds = Field(
        default=600,
        description="seconds one Job may take, including pulling its image",
        examples=[600],
    )


def _expand(value: Any) -> Any:
    """Expand the short forms `true`, `false` and `strict`; a mapping is enabled unless it says otherwise."""
    if isinstance(value, bool):
        return {"enabled": value}
    if value == "strict":
        return {"enabled": True, "strict": True}
    return {"enabled": True, **value} if isinstance(value, Mapping) else value


VerifySetting = Annotated[
    Verify, BeforeValidator(_expand, json_schema_input_type=bool | Literal["strict"] | Verify)
]
