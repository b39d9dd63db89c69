"""What a stack file may say. Strict: all mistakes at once, each with its path, and what to write instead."""

from k3sgpu.problem import Problem, SettingsError, render
from k3sgpu.settings.files.kubeconfig import resolve_kubeconfig
from k3sgpu.settings.files.release import ReleaseFiles, resolve_release_files
from k3sgpu.settings.files.ssh_keys import PASSPHRASE, SshAccess, is_encrypted, resolve_ssh
from k3sgpu.settings.load import parse, read_stack_file
from k3sgpu.settings.models.names import NO_SHARING
from k3sgpu.settings.models.sharing import GPU, MPS_CLIENTS, Profile, mig_resource, partition_memory_mib
from k3sgpu.settings.models.stack import SECRET_KEYS, Endpoint, Gpu, Node, Settings
from k3sgpu.settings.models.workloads import POOL_LABEL, SecurityContext, Toleration, Workload
from k3sgpu.settings.node_secrets import (
    NODE_SECRETS,
    SERVER_SECRETS,
    check_secrets,
    node_secret_texts,
    server_secret_texts,
)

__all__ = [
    "GPU",
    "MPS_CLIENTS",
    "NODE_SECRETS",
    "NO_SHARING",
    "PASSPHRASE",
    "POOL_LABEL",
    "SECRET_KEYS",
    "SERVER_SECRETS",
    "Endpoint",
    "Gpu",
    "Node",
    "Problem",
    "Profile",
    "ReleaseFiles",
    "SecurityContext",
    "Settings",
    "SettingsError",
    "SshAccess",
    "Toleration",
    "Workload",
    "check_secrets",
    "is_encrypted",
    "mig_resource",
    "node_secret_texts",
    "parse",
    "partition_memory_mib",
    "read_stack_file",
    "render",
    "resolve_kubeconfig",
    "resolve_release_files",
    "resolve_ssh",
    "server_secret_texts",
]
