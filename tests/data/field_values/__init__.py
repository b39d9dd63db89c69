"""By place of a stack file: values that its type accepts, and similar ones that it refuses."""

from collections.abc import Mapping
from typing import Any

from tests.data.field_values import hosts, k3s, workloads
from tests.data.field_values.values import Values
from tests.data.stack_files import REMOVE

VALUES: Mapping[str, Values] = {**hosts.VALUES, **k3s.VALUES, **workloads.VALUES}
CONTEXT: Mapping[str, Mapping[str, Any]] = {
    "kubeconfig/file": {"k3s": REMOVE},
    "kubeconfig/context": {"kubeconfig/file": "~/.kube/config", "k3s": REMOVE},
    "ssh/bastion/hostKey": {"ssh/bastion/address": "b.example.org"},
}
"""What a place needs beside it."""
