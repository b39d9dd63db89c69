"""workloads: Deployments and Jobs that use slices. What they run by default are the article's containers."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from k3sgpu.settings.models.base import Model, Strings
from k3sgpu.settings.models.names import LabelKey, LabelValue, Name, Resource, refusal
from k3sgpu.settings.models.sharing import GPU

TESTER = "nvcr.io/nvidia/cloud-native/dcgm:4.6.0-1-ubuntu24.04"
"""Has the program that keeps a card's tensor cores busy, one for each generation of CUDA."""
TESTER_COMMAND = ("/bin/sh", "-c")
# The program's generation must be the driver's: 12 up to driver 575, 13 from 580 on; the wrong one exits
# with 244. The container asks the driver of the node it is on, for pools may differ.
_TESTER_SCRIPT = """\
generation=12
if grep -Eq '^NVRM version:.* (5[89]|[6-9][0-9])[0-9][.][0-9]' /proc/driver/nvidia/version; then
    generation=13
fi
while true; do
    "/usr/bin/dcgmproftester$generation" --no-dcgm-validation -t 1004 -d 300
    sleep 30
done
"""
TESTER_ARGS = (_TESTER_SCRIPT,)
VECTORADD = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
"""Adds two vectors on the card, compares, ends: what shows that a slice computes."""

POOL_LABEL = "k3s-gpu-sharing/pool"
"""A node's pool. Only nodes of pools that a workload names carry it: nobody else asks for it."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "gpu-operator-test": {"kind": "Job"},
    "nvidia-plugin-test": {"kind": "Deployment", "replicas": 1, "gpus": 1},
    "nvidia-plugin-test-2": {"kind": "Deployment", "replicas": 2, "gpus": 2},
}
"""The article's three, by name: what they are where the stack file does not say otherwise."""

SECRETIVE = re.compile(
    "(^|_)([Pp][Aa][Ss][Ss][Ww]([Oo][Rr])?[Dd]|[Tt][Oo][Kk][Ee][Nn]|[Ss][Ee][Cc][Rr][Ee][Tt]"
    "|[Cc][Rr][Ee][Dd][Ee][Nn][Tt][Ii][Aa][Ll][Ss]?"
    "|([Aa][Pp][Ii]|[Pp][Rr][Ii][Vv][Aa][Tt][Ee]|[Aa][Cc][Cc][Ee][Ss][Ss])_?[Kk][Ee][Yy])(_|$)"
)
"""Names of what is secret; spelled for JSON Schema, whose patterns know no flags."""
VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
SECRET_KEY = "[-._a-zA-Z0-9]+"
BASELINE = frozenset(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID"
    " SYS_CHROOT".split()
)
"""Capabilities that Pod Security's level `baseline` lets a container add."""
CAPABILITY = re.compile("(?!CAP_)[A-Z][A-Z0-9_]*")


def apply_preset(name: Any, said: Any) -> Any:
    """What a workload says, with what the article says of one of that name and kind."""
    preset = PRESETS.get(name, {})
    if not isinstance(said, Mapping) or said.get("kind", preset.get("kind")) != preset.get("kind"):
        return said
    return {**preset, **said}


def _is_tester(image: str) -> bool:
    """NVIDIA's image, or a mirror's: that changes the host and the folder, not the name."""
    return re.split(r"[:@]", image.rpartition("/")[2])[0] == "dcgm"


def _image(data: dict[str, Any]) -> str:
    return VECTORADD if data["kind"] == "Job" else TESTER


def _command(data: dict[str, Any]) -> tuple[str, ...]:
    """Another image runs its own entry point: the tester's command exists in the tester's image only."""
    return TESTER_COMMAND if _is_tester(data["image"]) else ()


def _args(data: dict[str, Any]) -> tuple[str, ...]:
    return TESTER_ARGS if _is_tester(data["image"]) and data["command"] == TESTER_COMMAND else ()


def _security_context(data: dict[str, Any]) -> "SecurityContext":
    """The tester reads the card's counters, which the kernel grants to SYS_ADMIN alone."""
    add = ("SYS_ADMIN",) if _is_tester(data["image"]) else ()
    return SecurityContext(capabilities=Capabilities(add=add))


def _variable(text: str) -> str:
    if re.fullmatch(VARIABLE, text):
        return text
    raise refusal("a variable's name: letters, digits and '_', not a digit first", "correct the name")


def _plain_variable(text: str) -> str:
    if SECRETIVE.search(text):
        raise refusal(
            "no secret: what stands in env can be read in the stack file, the state and the cluster",
            f"make a Secret (kubectl create secret generic NAME --from-literal=KEY=...) in the workload's\n"
            f"namespace, and write secretEnv: {{{text}: {{name: NAME, key: KEY}}}}",
        )
    return _variable(text)


def _secret_key(text: str) -> str:
    if re.fullmatch(SECRET_KEY, text):
        return text
    raise refusal("a key of a Kubernetes Secret: letters, digits, '.', '_' and '-'", "correct the key")


def _capabilities(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not CAPABILITY.fullmatch(name):
            raise refusal(
                f"Linux capabilities in capitals and without CAP_ (here: {name})",
                "write for instance [SYS_ADMIN]",
            )
    return names


CapabilityNames = Annotated[
    Strings,
    AfterValidator(_capabilities),
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": f"^{CAPABILITY.pattern}$"}}),
]
PlainVariable = Annotated[
    str,
    AfterValidator(_plain_variable),
    WithJsonSchema({"type": "string", "pattern": f"^(?!.*{SECRETIVE.pattern}){VARIABLE}$"}),
]
Variable = Annotated[
    str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": f"^{VARIABLE}$"})
]
SecretName = Annotated[
    str, AfterValidator(_secret_key), WithJsonSchema({"type": "string", "pattern": f"^{SECRET_KEY}$"})
]


class Capabilities(Model):
    """Linux capabilities, beside or instead of the usual ones."""

    add: CapabilityNames = Field(
        default=(), description="Linux capabilities on top of the usual ones", examples=["[SYS_ADMIN]"]
    )
    drop: CapabilityNames = Field(
        default=(), description="Linux capabilities to take away; ALL for all", examples=["[ALL]"]
    )


class SecurityContext(Model):
    """What the container may; what is not said is as the image and the container runtime have it."""

    run_as_user: int | None = Field(
        default=None, ge=0, description="the user's number inside the container", examples=[1000]
    )
    run_as_group: int | None = Field(
        default=None, ge=0, description="the group's number inside the container", examples=[1000]
    )
    run_as_non_root: bool | None = Field(
        default=None, description="true: the kubelet refuses to start it as root", examples=["true"]
    )
    privileged: bool | None = Field(
        default=None,
        description="true: all devices and capabilities of the machine, all of its GPUs among them",
        examples=["false"],
    )
    allow_privilege_escalation: bool | None = Field(
        default=None,
        description="false: a program cannot get more rights than its parent has",
        examples=["false"],
    )
    read_only_root_filesystem: bool | None = Field(
        default=None, description="true: the container cannot write into its image's files", examples=["true"]
    )
    capabilities: Capabilities = Field(
        default=Capabilities(), description="Linux capabilities", examples=["{add: [SYS_ADMIN]}"]
    )

    @property
    def is_baseline(self) -> bool:
        """Whether Pod Security's level `baseline` lets such a container in."""
        return not self.privileged and BASELINE.issuperset(self.capabilities.add)


class Toleration(Model):
    """A taint that the pods put up with, beside nvidia.com/gpu:NoSchedule, which all of ours do."""

    key: LabelKey = Field(description="the taint's key", examples=["dedicated"])
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal",
        description="Equal (the taint has this value) or Exists (whatever its value is)",
        examples=["Exists"],
    )
    value: LabelValue = Field(default="", description="the taint's value", examples=["gpu"])
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="the taint's effect; left out: any", examples=["NoSchedule"]
    )


class SecretKey(Model):
    """An entry of a Kubernetes Secret in the workload's namespace."""

    name: SecretName = Field(description="the Secret's name", examples=["hub"])
    key: SecretName = Field(description="the key of its data", examples=["token"])


class Verify(Model):
    """On each GPU node a Job that must compute on one slice, before the workloads come."""

    enabled: bool = Field(default=False, description="whether it is done", examples=["true"])
    strict: bool = Field(
        default=False, description="true: a node that fails fails the update", examples=["true"]
    )
    image: str = Field(
        default=VECTORADD,
        min_length=1,
        description="an image that computes on a GPU and ends, with 0 when it was right",
        examples=[VECTORADD],
    )
    timeout_seconds: int = Field(
        default=600, ge=1, description="seconds it may take, the image's way included", examples=[600]
    )


def _verify(said: Any) -> Any:
    """`true`, `false` and `strict` are short for a mapping; and one that is written is meant."""
    if isinstance(said, bool):
        return {"enabled": said}
    if said == "strict":
        return {"enabled": True, "strict": True}
    return {"enabled": True, **said} if isinstance(said, Mapping) else said


VerifySetting = Annotated[
    Verify, BeforeValidator(_verify, json_schema_input_type=bool | Literal["strict"] | Verify)
]


class Workload(Model):
    """So many pods, each with so many slices: a Deployment keeps them running, a Job runs them to the end."""

    kind: Literal["Deployment", "Job"] = Field(
        default="Deployment",
        description="Deployment (its pods run on) or Job (its pods do their work and end)",
        examples=["Job"],
    )
    replicas: int = Field(default=1, ge=0, description="how many pods a Deployment keeps", examples=[1])
    completions: int = Field(default=1, ge=1, description="how many pods of a Job must succeed", examples=[1])
    parallelism: int = Field(
        default=1, ge=1, description="how many pods of a Job run at one time", examples=[1]
    )
    retries: int = Field(
        default=0, ge=0, description="how many pods of a Job may fail before it has failed", examples=[0]
    )
    timeout_seconds: int = Field(
        default=600,
        ge=1,
        description="seconds a Job may take, its pods' wait for room included",
        examples=[600],
    )
    gpus: int = Field(
        default=1, ge=1, description="slices (or whole cards) each pod asks for, at least 1", examples=[1]
    )
    memory_mib: int | None = Field(
        default=None,
        alias="memoryMiB",
        ge=1,
        description="MiB of its cards' memory each pod uses at most; reckoned with, and not enforced",
        examples=[4096],
    )
    resource: Resource = Field(default=GPU, description="the resource each pod asks for", examples=[GPU])
    namespace: Name = Field(default="default", description="the namespace of the pods", examples=["default"])
    image: str = Field(
        default_factory=_image, min_length=1, description="the container image", examples=[VECTORADD]
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
    env: dict[PlainVariable, str] = Field(
        default={}, description="environment variables, none of them secret", examples=['{EPOCHS: "3"}']
    )
    secret_env: dict[Variable, SecretKey] = Field(
        default={},
        description="environment variables from Kubernetes Secrets",
        examples=["{HF_TOKEN: {name: hub, key: token}}"],
    )
    pool: Name | None = Field(
        default=None, description="the pool on whose nodes the pods run, one of pools", examples=["rtx"]
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={},
        description="labels a node must have",
        examples=["{accelerator: NVIDIA-GeForce-RTX-2080-Ti}"],
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(strict=False)] = Field(
        default=(),
        description="taints of nodes that the pods put up with",
        examples=["[{key: dedicated, operator: Exists}]"],
    )
    security_context: SecurityContext = Field(
        default_factory=_security_context,
        description="what the container may",
        examples=["{runAsUser: 1000, capabilities: {drop: [ALL]}}"],
    )

    @property
    def selector(self) -> dict[str, str]:
        """All labels that a node must have, its pool's among them."""
        return {**self.node_selector, **({POOL_LABEL: self.pool} if self.pool else {})}

    @property
    def pods(self) -> int:
        """How many there are at one time, at most."""
        return self.replicas if self.kind == "Deployment" else min(self.parallelism, self.completions)
