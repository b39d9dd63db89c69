"""What a stack file may say. Strict: all mistakes at once, each with its path, and what to write instead."""

from .air_gap import ReleaseFiles, resolve_air_gap
from .existing import resolve_kubeconfig
from .given import NODE_SECRETS, SERVER_SECRETS, check_secrets, for_nodes, for_servers
from .keys import PASSPHRASE, SshAccess, is_encrypted, resolve_ssh
from .load import parse, read_stack_file
from .names import NO_SHARING
from .problem import Problem, SettingsError, render
from .sharing import GPU, MPS_CLIENTS, Profile, memory_of, mig_resource
from .stack import SECRET_KEYS, Endpoint, Gpu, Node, Settings
from .workloads import POOL_LABEL, SecurityContext, Toleration, Workload

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
    "for_nodes",
    "for_servers",
    "is_encrypted",
    "memory_of",
    "mig_resource",
    "parse",
    "read_stack_file",
    "render",
    "resolve_air_gap",
    "resolve_kubeconfig",
    "resolve_ssh",
]
