"""What a container gets: arguments, environment variables, capabilities, user IDs."""

from typing import Annotated, Literal

from pydantic import Field

from k3sgpu.settings.models.grammar import INT32, Refused, Text
from k3sgpu.settings.models.names import SUBDOMAIN_LIMIT
from k3sgpu.settings.models.secret_texts import SECRET_NAME, TEXT_WITH_SECRET

STRING_LIMIT = 128 * 1024 - 1
"""The longest argument or variable that Linux passes to a program (MAX_ARG_STRLEN, with the NUL)."""
ENTRIES_LIMIT = 1000
NOT_IN_TEXT = r"\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff"
"""For a class of characters: controls other than tabs and line breaks, and lone surrogates."""
TEXT = f"[^{NOT_IN_TEXT}]*"
"""Text that a program may get."""
_TEXT_EXPECTED = "a text without control characters other than tabs and line breaks"
_TEXT_REMEDY = 'remove them; in YAML, "\\0", "\\r" and "\\x01" in double quotes are control characters'
_ANYONE = "can be read in the stack file, the state and the cluster"
_SECRET = (
    "make a Secret (kubectl create secret generic NAME --from-literal=KEY=...) in the workload's\n"
    "namespace, and write"
)


def _text_without_secret(expected: str, remedy: str) -> Text:
    """A type for text that a program gets; a secret in it is refused in these words."""
    return Text(
        TEXT, STRING_LIMIT, _TEXT_EXPECTED, _TEXT_REMEDY, (Refused(TEXT_WITH_SECRET, expected, remedy),)
    )


ARGUMENT_EXPECTED = f"no secret: command and args {_ANYONE}"
ARGUMENT_REMEDY = f"{_SECRET} secretEnv: {{NAME: {{name: NAME, key: KEY}}}}, and $(NAME) here"
"""The expectation and the remedy for a secret in an argument."""
Argument = Annotated[str, _text_without_secret(ARGUMENT_EXPECTED, ARGUMENT_REMEDY)]
Arguments = Annotated[tuple[Argument, ...], Field(strict=False, max_length=ENTRIES_LIMIT)]
PlainValue = Annotated[
    str,
    _text_without_secret(
        f"no secret: env {_ANYONE}", f"{_SECRET} secretEnv: {{NAME: {{name: NAME, key: KEY}}}} instead"
    ),
]
_VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE_EXPECTED = (
    "the name of an environment variable: letters, digits and '_', not beginning with a digit"
)
Variable = Annotated[str, Text(_VARIABLE, SUBDOMAIN_LIMIT, _VARIABLE_EXPECTED, "correct the name")]
PlainVariable = Annotated[
    str,
    Text(
        _VARIABLE,
        SUBDOMAIN_LIMIT,
        _VARIABLE_EXPECTED,
        "correct the name",
        (
            Refused(
                SECRET_NAME,
                f"no secret: env {_ANYONE}",
                lambda text: f"{_SECRET} secretEnv: {{{text}: {{name: NAME, key: KEY}}}}",
            ),
        ),
    ),
]
SecretDataKey = Annotated[
    str,
    Text(
        r"(?!\.$|\.\.)[A-Za-z0-9._-]+",
        SUBDOMAIN_LIMIT,
        "a key of a Kubernetes Secret: letters, digits, '.', '_' and '-', not beginning with '..'",
        "correct the key",
    ),
]
UserId = Annotated[int, Field(ge=0, le=INT32)]
"""A UID or GID; Kubernetes refuses greater ones (IsValidUserID in k8s.io/apimachinery)."""

Capability = Literal[
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
    "ALL",
]
"""The capabilities of Linux (include/uapi/linux/capability.h of 6.12) without CAP_, and ALL."""
CapabilityNames = Annotated[tuple[Capability, ...], Field(strict=False, max_length=64)]
BASELINE = frozenset(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID"
    " SYS_CHROOT".split()
)
"""Capabilities that a container may add under the Pod Security Standard `baseline`."""
