"""A broken stack file for each problem that settings and capacity report, with pieces of its message."""

from tests.data import (
    refused_adopted,
    refused_k3s,
    refused_k3s_config,
    refused_kubelet,
    refused_operator,
    refused_sharing,
    refused_teams,
    refused_together,
    refused_values,
    refused_workloads,
)
from tests.data.broken_file import (
    HOST_KEY,
    LOCKED,
    NAMESPACE,
    PKCS8,
    Broken,
    changed,
    existing,
    text_of,
    written,
)
from tests.data.stack_files import REMOVE, RESOURCES

REFUSALS = (
    refused_values.REFUSALS
    | refused_operator.REFUSALS
    | refused_adopted.REFUSALS
    | refused_sharing.REFUSALS
    | refused_together.REFUSALS
    | refused_workloads.REFUSALS
    | refused_teams.REFUSALS
    | refused_k3s.REFUSALS
    | refused_k3s_config.REFUSALS
    | refused_kubelet.REFUSALS
)
SECRET_REFUSALS = refused_k3s.SECRET_REFUSALS | refused_k3s_config.SECRET_REFUSALS
REFUSED = {name: changed(*refusal) for name, refusal in REFUSALS.items()} | {
    "a key instead of its path": changed(
        {"ssh/privateKeyFile": "-----BEGIN\nAAAB\n"},
        "ssh.privateKeyFile",
        "not shown",
        "not the key itself",
        "pulumi config set --secret sshPrivateKey",
    )
}
"""Refused by `parse`."""

PENDING = {
    "too many pods": changed(
        {"workloads/w/replicas": 4},
        "workloads.w",
        "1 of 4 pods stays Pending: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu",
        "ask for 8 nvidia.com/gpu, the nodes offer 6",
        "replicas: 8 instead of 6",
    ),
    "more pods than a kubelet takes": changed(
        {"pools/rtx/gpu/count": 8, f"{RESOURCES}/0/replicas": 20, "workloads/w": {"replicas": 120}},
        "workloads.w",
        "1 Insufficient nvidia.com/gpu, 1 Too many pods",
        "the kubelet of a node takes 104 pods besides those of k3s and the operator",
        "pools.rtx.kubeletArgs: {max-pods: 126} instead of 110",
    ),
    "more pods of two resources than a kubelet takes": changed(
        {
            "pools/rtx/gpu/mig": {"3g.71gb": 1, "1g.18gb": 3},
            "sharing/profiles/six": {
                "migStrategy": "mixed",
                "timeSlicing": {
                    "resources": [
                        {"name": "mig-3g.71gb", "replicas": 90},
                        {"name": "mig-1g.18gb", "replicas": 30},
                    ]
                },
            },
            "workloads": {
                "large": {"replicas": 80, "resource": "nvidia.com/mig-3g.71gb"},
                "small": {"replicas": 80, "resource": "nvidia.com/mig-1g.18gb"},
            },
        },
        "workloads",
        "160 pods: no kubelet takes 56 of them",
        "104 besides those of k3s",
        "kubeletArgs: {max-pods: ...}",
    ),
    "more reserved than there is": changed(
        {"pools/rtx/reserved": {"nvidia.com/gpu": 7}, "workloads": {}},
        "pools.rtx.reserved.nvidia.com/gpu",
        "7, of which gpu-1 offers 6",
        "no more than a node offers: 6 nvidia.com/gpu (on gpu-1)",
        "write at most 6",
    ),
    "a resource nobody offers": changed(
        {"workloads/w/resource": "nvidia.com/gpu.shared"},
        "workloads.w.resource",
        "nvidia.com/gpu.shared, which no node offers",
        "gpu-1: 6 nvidia.com/gpu",
        "write resource: nvidia.com/gpu",
    ),
    "a pool without the resource": changed(
        {
            "pools/control/gpu": {"product": "NVIDIA-H200", "count": 4, "memoryMiB": 143771},
            "pools/rtx/gpu/profile": "cut",
            "pools/rtx/gpu/mig": {"1g.18gb": 7},
            "sharing/profiles/cut": {"migStrategy": "mixed"},
            "workloads/w/pool": "rtx",
        },
        "workloads.w.pool",
        "rtx, of which no node offers nvidia.com/gpu",
        "a node that offers it and admits these pods",
        "write pool: control, or remove it",
    ),
    "guarantees over the offer": changed(
        {"teams": {"vision": {"guaranteed": {"rtx": 5}}}, "workloads": {"w": {"gpus": 2}}},
        "teams.vision.guaranteed.rtx",
        "5 nvidia.com/gpu of pool rtx guaranteed (vision 5), and 2 for workloads of no team (w 2)",
        "the pool's 1 node offers 6 nvidia.com/gpu",
        "teams.vision.guaranteed.rtx: 4 instead of 5",
    ),
    "a selector for no node": changed(
        {"workloads/w/nodeSelector": {"accelerator": "NVIDIA-A100"}},
        "workloads.w.nodeSelector",
        "accelerator=NVIDIA-A100, which no node with nvidia.com/gpu has",
        "gpu-1: accelerator=NVIDIA-H200",
        "write one of these labels",
    ),
}
"""Workloads that would stay Pending."""

WARNINGS = {
    "more memory than a card has": changed(
        {"workloads/w": {"replicas": 6, "memoryMiB": 30000}},
        "workloads.w.memoryMiB",
        "up to 180000 MiB on one card of gpu-1",
        "all it has",
        "memoryMiB: 23961",
    ),
    "more memory than a client gets": changed(
        {
            "workloads/w": {"memoryMiB": 30000},
            "sharing/profiles/six": {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 6}]}},
        },
        "workloads.w.memoryMiB",
        "30000 MiB on one card of gpu-1",
        "at most 23961: MPS",
        "write memoryMiB: 23961",
    ),
    "pods that may fill a kubelet before its slices": changed(
        {
            "pools/rtx/gpu/count": 8,
            f"{RESOURCES}/0/replicas": 30,
            "pools/rtx/hosts/gpu-2": "10.0.0.22",
            "workloads": {"one": {"replicas": 110}, "three": {"replicas": 70, "gpus": 3}},
        },
        "workloads",
        "a kubelet's limit (max-pods) may be reached",
        "in any order",
        "leave more room",
    ),
    "a label of somebody else's": changed(
        {"workloads/w/nodeSelector": {"rack": "7"}},
        "workloads",
        "w selects on rack",
        "room for all",
        "make sure that enough nodes have the label",
    ),
    "slices of what no card is": changed(
        {f"{RESOURCES}/1": {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}},
        "sharing.profiles.six.timeSlicing.resources[1].name",
        "nvidia.com/mig-1g.18gb, which no card of pool rtx provides",
        "what its cards provide: nvidia.com/gpu",
        "pools.rtx.gpu.mig",
    ),
    "a toolkit that nobody looks at, beside teams": existing(
        "{rtx: {nodes: [gpu-1], gpu: {product: NVIDIA-H200, count: 1, memoryMiB: 143771}}}",
        "gpuOperator.toolkit",
        "host, on Nodes where this program does not log in",
        "pods with a slice only",
        "sudo nvidia-ctk config --in-place --set",
        teams="{vision: {members: [ana], guaranteed: {rtx: 1}}}",
    ),
    "the memory of another variant of the card": changed(
        {"pools/rtx/gpu/product": "NVIDIA-A100-SXM4-40GB", "pools/rtx/gpu/memoryMiB": 81920},
        "pools.rtx.gpu.memoryMiB",
        "81920, on cards called NVIDIA-A100-SXM4-40GB",
        "about 40960",
        "nvidia-smi --query-gpu",
    ),
    "an image that a driver is too old for": changed(
        {"pools/rtx/gpu/driverVersion": "535", "workloads/w/image": "nvcr.io/nvidia/cuda:13.0.1-base"},
        "workloads.w.image",
        "of CUDA 13, on pool rtx with driver 535",
        "driver 580 or newer",
        "an older CUDA",
    ),
} | {
    name: changed(*warning)
    for name, warning in (
        refused_kubelet.WARNINGS
        | refused_k3s_config.WARNINGS
        | refused_operator.WARNINGS
        | refused_adopted.WARNINGS
        | refused_teams.WARNINGS
    ).items()
}
"""Accepted with a warning."""

UNREADABLE = {
    "no mapping": Broken("- a\n", "Pulumi.broken.yaml", "no mapping", "`config:`", "write `config:`"),
    "settings that are a list": Broken("config: []\n", "config", "no mapping", "below it", "write"),
    "an open bracket": written("  k3s-gpu-sharing:fit: [warn\n", "line 4, column 1", "','", "YAML", "line"),
    "a tab": written("\tfit: warn\n", "line 3, column 1", "found a tab", "YAML", "line"),
    "a key twice": written(
        "  k3s-gpu-sharing:fit: warn\n  k3s-gpu-sharing:fit: off\n",
        "config.k3s-gpu-sharing:fit",
        "the key k3s-gpu-sharing:fit a second time (first in line 3), in line 4",
        "means to Pulumi",
        "remove one",
    ),
    "a control character": written("  a: \x01\n", "Pulumi.broken.yaml", "unacceptable character", "YAML", ""),
    "a mapping inside itself": written(
        "  k3s-gpu-sharing:ssh: &a {user: *a}\n",
        "Pulumi.broken.yaml: line 3",
        "contains itself",
        "YAML",
        "correct",
    ),
    "a number of 5000 digits": written(
        f"  k3s-gpu-sharing:fit: {'9' * 5000}\n", "fit", "without loss", "means to Pulumi", "in quotes"
    ),
    "brackets without end": written(
        f"  a: {'[' * 5000}\n", "Pulumi.broken.yaml", "too deeply", "YAML", "plain values"
    ),
    "bytes": written(
        "  k3s-gpu-sharing:fit: !!binary aaaa\n", "fit", "the tag", "means to Pulumi", "without a tag"
    ),
    "a key beside config": Broken(
        "config: {}\nk3s-gpu-sharing:fit: warn\n",
        "k3s-gpu-sharing:fit",
        "beside",
        "below `config:`",
        "indent it",
    ),
    "a key without a namespace": written(
        "  fit: warn\n", "config.fit", "without a namespace", NAMESPACE, "write k3s-gpu-sharing:fit"
    ),
    "an encrypted value inside an object": written(
        "  k3s-gpu-sharing:ssh: {key: {secure: AAAB}}\n",
        "ssh.key",
        "an encrypted value inside an object",
        "top-level keys of their own",
        "pulumi config set --secret sshPrivateKey",
    ),
}
"""Refused while reading the file."""

SECRETS = {
    "a secret in plain text": Broken(
        text_of({"sshPrivateKey": "-----BEGIN", "ssh": {"knownHostsFile": "known"}}),
        "sshPrivateKey",
        "a secret in plain text (not shown)",
        "which Pulumi encrypts",
        "pulumi config set --secret sshPrivateKey",
    ),
    "an encrypted section": Broken(
        text_of({"workloads": {"secure": "AAAB"}}),
        "workloads",
        "an encrypted value",
        "top-level keys of their own",
        "write workloads without secure:",
    ),
    "a misspelt secret": Broken(
        text_of({"sshPrivatKey": {"secure": "AAAB"}}),
        "sshPrivatKey",
        "the unknown key sshPrivatKey",
        "sshPrivateKey",
        "write sshPrivateKey",
    ),
    "a key in a file and in a secret": Broken(
        text_of({"sshPrivateKey": {"secure": "AAAB"}}),
        "ssh.privateKeyFile",
        "ssh.privateKeyFile and the secret sshPrivateKey",
        "one source of the private key",
        "pulumi config rm sshPrivateKey",
    ),
} | {
    name: changed({**change, secret: {"secure": "AAAB"}}, *pieces)
    for name, (change, secret, *pieces) in SECRET_REFUSALS.items()
}
"""Refused because of a secret."""

KEYS = {
    "an unknown machine": changed(
        {},
        "host gpu-1",
        "no host key for 10.0.0.21 port 22",
        "a host key",
        "ssh-keyscan -p 22 -t ed25519 10.0.0.21",
        known=f"10.0.0.11 {HOST_KEY}\n",
    ),
    "known hosts that are none": changed(
        {}, "ssh.knownHostsFile", "known", "the format of known_hosts", "correct the file", known=b"\xff\xfe"
    ),
    "a host key that is none": changed(
        {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": "ssh-ed25519 AAAA"}},
        "pools.rtx.hosts.gpu-1.hostKey",
        "no public key",
        "public host key",
        "/etc/ssh/ssh_host_ed25519_key.pub",
    ),
    "no such key file": changed(
        {"ssh/privateKeyFile": "other"},
        "ssh.privateKeyFile",
        "No such file",
        "a readable private key",
        "ssh-keygen -t ed25519",
    ),
    "a key with a passphrase": changed(
        {},
        "ssh.privateKeyFile",
        "with a passphrase",
        "without a passphrase",
        "create a key without",
        key=LOCKED,
    ),
    "a key encrypted in another form": changed(
        {}, "ssh.privateKeyFile", "PKCS #8", "private key", "ssh-keygen -p -f", key=PKCS8
    ),
    "a public key for a private one": changed(
        {}, "ssh.privateKeyFile", "not a private key", "private key", "not its .pub", key=HOST_KEY
    ),
}
"""Valid settings whose SSH keys cannot be used: refused by `resolve_ssh`."""

NODES = "{rtx: {nodes: [gpu-1]}}"
EXISTING = {
    "a secret of hosts beside it": existing(
        NODES,
        "kubeconfig",
        "the secret sudoPassword beside kubeconfig",
        "never touched",
        "pulumi config rm sudoPassword",
        sudoPassword="{secure: AAAB}",
    ),
    "machines beside it": existing(
        NODES, "ssh", "beside kubeconfig", "never touched", "remove ssh", ssh="{user: root}"
    ),
    "a role beside it": existing(
        "{rtx: {nodes: [gpu-1], role: agent}}",
        "pools.rtx.role",
        "beside kubeconfig",
        "names of Nodes",
        "remove role",
    ),
    "hosts beside it": existing(
        "{rtx: {hosts: {gpu-1: 10.0.0.21}}}",
        "pools.rtx.hosts",
        "beside",
        "names of Nodes",
        "write nodes: [gpu-1]",
    ),
    "no nodes": existing(
        "{rtx: {labels: {a: b}}}", "pools.rtx.nodes", "missing", "by name", "add `nodes: [gpu-1]`"
    ),
    "a node twice": existing(
        "{rtx: {nodes: [gpu-1, gpu-1]}}", "pools.rtx.nodes[1]", "nodes[0] already has", "once", "remove one"
    ),
    "a number for the kubeconfig": existing(
        NODES,
        "kubeconfig",
        "5 (a number)",
        "the kubeconfig of an existing cluster",
        "~/.kube/config",
        kubeconfig="5",
    ),
    "a kubeconfig that only a shell finds": existing(
        NODES, "kubeconfig", "$KUBECONFIG", "only ~/ is expanded", "the whole path", kubeconfig="$KUBECONFIG"
    ),
    "no kubeconfig": existing(
        NODES,
        "kubeconfig.file",
        "missing",
        "the secret clusterKubeconfig",
        "add `file: ~/.kube/config`",
        kubeconfig="{}",
    ),
    "a file and a secret": existing(
        NODES,
        "kubeconfig.file",
        "a file and",
        "one source",
        "pulumi config rm",
        clusterKubeconfig="{secure: AAAB}",
    ),
    "a secret alone": changed(
        {"clusterKubeconfig": {"secure": "AAAB"}},
        "kubeconfig",
        "is missing",
        "existing cluster",
        "add `kubeconfig: {}`",
    ),
}
"""Refused stack files of an existing cluster."""

KUBECONFIGS = {
    "no such kubeconfig": existing(
        NODES, "kubeconfig.file", "No such file", "a readable kubeconfig", "name the file"
    ),
}
"""Refused by `resolve_kubeconfig`."""

RELEASES = {
    "no such release": changed(
        {"k3s/mirror": REMOVE, "k3s/airGap": "releases"},
        "k3s.airGap",
        "releases/v1.36.2+k3s1/k3s: No such file",
        "under their own names",
        "download it",
    ),
}
"""Refused by `resolve_release_files`."""

CHARTS = {
    "no such chart": changed(
        {"gpuOperator/chart": "./nowhere"},
        "gpuOperator.chart",
        "where there is nothing",
        "the folder of a chart",
        "write chart: gpu-operator",
    ),
}
"""Refused by `check_local_chart`."""
