"""What the program hands to `jobs wait` and `jobs verify`. It holds no secret."""

from typing_extensions import TypedDict

from k3sgpu.handoff.validation import validate

JOB_VARIABLE = "K3SGPU_JOB"
"""The environment variable of a JobToWaitFor."""
VERIFY_VARIABLE = "K3SGPU_VERIFY"
"""The environment variable of a VerifyPlan."""


class JobToWaitFor(TypedDict):
    """One Job that the stack has made."""

    namespace: str
    name: str
    uid: str
    """Changes when the Job is made again: the program waits again then."""
    timeoutSeconds: int
    """The Job's own deadline (activeDeadlineSeconds)."""


class NodeToVerify(TypedDict):
    """One node, and a resource that it offers."""

    name: str
    resource: str
    offer: str
    """Changes with everything of this node that can change what it offers."""


class VerifyPlan(TypedDict):
    """One Job on each node, which must compute on one slice."""

    namespace: str
    """Of the Jobs."""
    nodes: list[NodeToVerify]
    image: str
    strict: bool
    """A node that fails makes the command fail."""
    timeoutSeconds: int
    """The deadline of each Job (activeDeadlineSeconds)."""
    generation: int
    """Another number: the program verifies again."""


def parse_job(data: object) -> JobToWaitFor:
    """Returns `data` as a JobToWaitFor. Raises InputError where it has another shape."""
    return validate(JobToWaitFor, data, "the Job to wait for")


def parse_verify_plan(data: object) -> VerifyPlan:
    """Returns `data` as a VerifyPlan. Raises InputError where it has another shape."""
    return validate(VerifyPlan, data, "the verify plan")
