"""The stack file: what it may contain, and what follows from it.

`parse` and `read_stack_file` give Settings or raise SettingsError with all problems at once. Import from
here; inside the package:

- models/  one module per section of the stack file; sections.py lists them, resolved.py has Settings
- rules/   what spans several keys; registry.py lists all rules
- files/   the only I/O: stack file, SSH keys, kubeconfig, releases, chart
- config_keys.py  the keys below `config:` and their namespaces
- parsing.py, pydantic_errors.py, model_paths.py  from keys to Settings or problems
- schema.py  the JSON Schema for editors
- secret_forms.py  the form of each secret
- node_secrets.py  the texts with secrets that hosts receive
- operator_tolerations.py  the taints that the GPU Operator's pods tolerate
"""

from k3sgpu.problem import Problem, SettingsError, render
from k3sgpu.settings.config_keys import NAMESPACE, check_config_keys
from k3sgpu.settings.files.chart import check_local_chart
from k3sgpu.settings.files.kubeconfig import read_kubeconfig, resolve_kubeconfig
from k3sgpu.settings.files.release import ReleaseFiles, resolve_release_files
from k3sgpu.settings.files.ssh_keys import (
    PASSPHRASE,
    SshAccess,
    is_encrypted,
    resolve_ssh,
    shortest_form,
)
from k3sgpu.settings.models.names import NO_SHARING, PROFILE_LIMIT
from k3sgpu.settings.models.nodes import Endpoint, Gpu, Node
from k3sgpu.settings.models.resolved import Settings
from k3sgpu.settings.models.sections import SECRET_KEYS
from k3sgpu.settings.models.sharing import Profile, mig_resource, partition_memory_mib
from k3sgpu.settings.models.taints import Taint, untolerated
from k3sgpu.settings.models.teams import PerSlice, Rank, Team, slices_of
from k3sgpu.settings.models.workloads import SecurityContext, Toleration, Workload
from k3sgpu.settings.node_secrets import (
    NODE_SECRETS,
    SERVER_SECRETS,
    node_secret_texts,
    server_secret_texts,
)
from k3sgpu.settings.operator_tolerations import tolerations_for_gpu_pools
from k3sgpu.settings.parsing import parse, read_stack_file
from k3sgpu.settings.secret_forms import check_secrets

__all__ = [
    "NAMESPACE",
    "NODE_SECRETS",
    "NO_SHARING",
    "PASSPHRASE",
    "PROFILE_LIMIT",
    "SECRET_KEYS",
    "SERVER_SECRETS",
    "Endpoint",
    "Gpu",
    "Node",
    "PerSlice",
    "Problem",
    "Profile",
    "Rank",
    "ReleaseFiles",
    "SecurityContext",
    "Settings",
    "SettingsError",
    "SshAccess",
    "Taint",
    "Team",
    "Toleration",
    "Workload",
    "check_config_keys",
    "check_local_chart",
    "check_secrets",
    "is_encrypted",
    "mig_resource",
    "node_secret_texts",
    "parse",
    "partition_memory_mib",
    "read_kubeconfig",
    "read_stack_file",
    "render",
    "resolve_kubeconfig",
    "resolve_release_files",
    "resolve_ssh",
    "server_secret_texts",
    "shortest_form",
    "slices_of",
    "tolerations_for_gpu_pools",
    "untolerated",
]
