"""The section `teams`: people who share the cards, what they can always have and what they may have."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidatorFunctionWrapHandler, WrapValidator

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.names import Name, Resource
from k3sgpu.settings.models.sharing import MOST_CARDS, NODE_SLICES

MOST_TEAMS = 200
MOST_MEMBERS = 64
"""Of one team: their tokens are one Command's output, whose length is limited (handoff/environment.py)."""
MOST_HOURS = 24 * 366
MOST_SLICES = 1000 * NODE_SLICES
"""Of one pool: as many hosts as it may have, with as many slices as each may offer."""


def _as_written(number: Any, by_resource: Any) -> WrapValidator:
    """Validate a value as what it is, a mapping or a number: a union would report errors of both."""
    of_mapping, of_number = TypeAdapter(by_resource), TypeAdapter(number)

    def validate(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
        return (of_mapping if isinstance(value, Mapping) else of_number).validate_python(value, strict=True)

    return WrapValidator(validate)


TeamSlices = Annotated[int, Field(ge=0, le=MOST_SLICES)]
TeamSlicesByResource = Annotated[dict[Resource, TeamSlices], Field(min_length=1, max_length=100)]
SlicesByPool = Annotated[
    dict[Name, Annotated[TeamSlices | TeamSlicesByResource, _as_written(TeamSlices, TeamSlicesByResource)]],
    Field(max_length=1000),
]
"""By pool: slices, or slices by resource where the pool offers several."""
PodSlices = Annotated[int, Field(ge=1, le=NODE_SLICES)]
PodSlicesByResource = Annotated[dict[Resource, PodSlices], Field(min_length=1, max_length=100)]
PodSlicesByPool = Annotated[
    dict[Name, Annotated[PodSlices | PodSlicesByResource, _as_written(PodSlices, PodSlicesByResource)]],
    Field(max_length=1000),
]
Hours = Annotated[int, Field(ge=1, le=MOST_HOURS)]
Rank = Literal["guaranteed", "burst"]
"""Whether a pod counts against its team's guarantee and is never preempted, or gives way to pods that do."""


class PerSlice(Model):
    """CPU and memory that go with one slice."""

    cpu_millis: Annotated[int, Field(ge=1, le=1000 * 1024)] = Field(
        default=200, description="thousandths of a CPU (Kubernetes' unit m)", examples=[2000]
    )
    memory_mib: Annotated[int, Field(ge=1, le=MOST_CARDS * 1024 * 1024)] = Field(
        default=1024, alias="memoryMiB", description="MiB of the host's memory", examples=[1024]
    )


class TimeLimit(Model):
    """How long a team's pods may run (activeDeadlineSeconds), in hours."""

    default: Hours = Field(description="the hours of a pod that names no limit of its own", examples=[8])
    max: Hours | None = Field(
        default=None, description="the most hours that a pod may name; default: default", examples=[24]
    )

    @property
    def most(self) -> int:
        """The hours after which every pod has ended."""
        return self.max or self.default


class Team(Model):
    """Members who work in one namespace, and the slices that they share."""

    members: Annotated[tuple[Name, ...], Field(strict=False, max_length=MOST_MEMBERS)] = Field(
        default=(), description="the members' names; each becomes a ServiceAccount", examples=["[ana, bo]"]
    )
    guaranteed: SlicesByPool = Field(
        default={},
        description="by pool, the slices that the team can always have; where a pool offers several "
        "resources, a mapping by resource",
        examples=["{rtx: 4}"],
    )
    limit: SlicesByPool = Field(
        default={},
        description="by pool, the slices that the team can have at most, while others leave them; default: "
        "guaranteed",
        examples=["{rtx: 8}"],
    )
    per_member: SlicesByPool = Field(
        default={},
        description="by pool, the slices that one member's pods can have at most; default: the team's limit",
        examples=["{rtx: 1}"],
    )
    per_pod: PodSlicesByPool = Field(
        default={},
        description="by pool, the slices that one pod can request at most; default: 1",
        examples=["{rtx: 2}"],
    )
    hours: TimeLimit | None = Field(
        default=None,
        description="how long a pod may run; default: as long as it likes",
        examples=["{default: 8, max: 24}"],
    )
    pod_security: Literal["baseline", "restricted"] = Field(
        default="baseline",
        description="the Pod Security Standard of the team's namespace",
        examples=["restricted"],
    )

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools that the team may use."""
        return tuple(dict.fromkeys([*self.guaranteed, *self.limit]))


def slices_of(value: int | Mapping[str, int] | None, resource: str) -> int | None:
    """The slices of a resource in a value of SlicesByPool; None where the value does not name it."""
    return value.get(resource) if isinstance(value, Mapping) else value
