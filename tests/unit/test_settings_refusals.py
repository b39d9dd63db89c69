"""Every refusal of a stack file: where, what was found, what was expected, what to write instead."""

import pytest

import settings as s
from tests.unit.stack_files import REMOVE, RESOURCES, SLICING, problems, the_problem, with_

MPS = {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
MIXED = {"sharing/profiles/six": {"migStrategy": "mixed"}, "workloads": {}}

SEVERAL = {"k3s/initialServer": "server-1", "k3s/registrationAddress": "k3s.example.org"}
THREE = {"pools/control/hosts/server-2": "10.0.0.12", "pools/control/hosts/server-3": "10.0.0.13", **SEVERAL}

# What is refused: change, path, a piece of `found`, of `expected`, of `remedy`

REFUSALS = {
    # types are strict
    "a quoted number": (
        {f"{RESOURCES}/0/replicas": "6"},
        f"{SLICING}.resources[0].replicas",
        '"6"',
        "whole number, without quotes",
        "remove the quotes: replicas: 6",
    ),
    "a fraction": ({"workloads/w/gpus": 0.5}, "workloads.w.gpus", "0.5", "whole number", "gpus: 1"),
    "a quoted truth": (
        {"sharing/profiles/six/timeSlicing/renameByDefault": "true"},
        f"{SLICING}.renameByDefault",
        '"true"',
        "true or false",
        "remove the quotes: renameByDefault: true",
    ),
    "an unquoted label": (
        {"workloads/w/nodeSelector": {"accelerator": True}},
        "workloads.w.nodeSelector.accelerator",
        "true",
        "a text",
        'put it in quotes: accelerator: "true"',
    ),
    "a number as version": ({"k3s/version": 1.36}, "k3s.version", "1.36", "vX.Y.Z+k3sN", "v1.36.2+k3s1"),
    "a text for a list": (
        {"k3s/disable": "traefik"},
        "k3s.disable",
        '"traefik"',
        "a list",
        "disable: [traefik]",
    ),
    "a list for a mapping": ({"workloads": ["w"]}, "workloads", "a list", "a mapping", "workloads: {"),
    "a key without value": ({"pools/rtx/gpu": None}, "pools.rtx.gpu", "nothing", "a value", "gpu: {product"),
    "a profile without value": (
        {"sharing/profiles/idle": None},
        "sharing.profiles.idle",
        "nothing",
        "{}",
        "",
    ),
    # what the program relies on
    "another data dir": (
        {"k3s/config": {"data-dir": "/mnt/k3s"}},
        "k3s.config.data-dir",
        "data-dir",
        "does not write itself",
        "remove it",
    ),
    "the operator's namespace": (
        {"workloads/w/namespace": "gpu-operator"},
        "workloads.w.namespace",
        "gpu-operator",
        "a namespace of its own",
        "namespace: gpu-tests",
    ),
    "a namespace of Kubernetes": (
        {"workloads/w/namespace": "kube-system"},
        "workloads.w.namespace",
        "kube-system",
        "belongs to",
        "namespace: gpu-tests",
    ),
    # unknown, missing, misplaced
    "a misspelt key": (
        {"ssh/usr": "x"},
        "ssh.usr",
        "usr",
        "knownHostsFile, port, privateKeyFile, user",
        "write user",
    ),
    "a misspelt section": ({"worklods": {}}, "worklods", "worklods", "gpuOperator, k3s", "write workloads"),
    "snake case": ({"ssh/known_hosts_file": "x"}, "ssh.known_hosts_file", "", "", "write knownHostsFile"),
    "a missing address": (
        {"pools/rtx/hosts/gpu-1": {}},
        "pools.rtx.hosts.gpu-1.address",
        "missing",
        "IPv4",
        "add `address: 10.0.0.11`",
    ),
    "no k3s": ({"k3s": REMOVE}, "k3s", "missing", "which k3s", "add `k3s: {version"),
    "no version": (
        {"k3s/version": REMOVE},
        "k3s.version",
        "missing",
        "vX.Y.Z+k3sN",
        "add `version: v1.36.2+k3s1`",
    ),
    "no pools": ({"pools": REMOVE}, "pools", "missing", "machines", "add `pools: {"),
    "a key one level too high": (
        {"sharing/profiles/six/renameByDefault": True},
        "sharing.profiles.six.renameByDefault",
        "unknown key",
        "timeSlicing",
        f"belongs at {SLICING}.renameByDefault",
    ),
    "a key one level too low": (
        {f"{RESOURCES}/0/failRequestsGreaterThanOne": True},
        f"{SLICING}.resources[0].failRequestsGreaterThanOne",
        "",
        "",
        f"belongs at {SLICING}.failRequestsGreaterThanOne",
    ),
    "a key two levels too high": (
        {"sharing/renameByDefault": True},
        "sharing.renameByDefault",
        "",
        "",
        "belongs at sharing.profiles.<name>.timeSlicing.renameByDefault",
    ),
    "a count beside gpu": (
        {"pools/rtx/count": 1},
        "pools.rtx.count",
        "",
        "",
        "belongs at pools.rtx.gpu.count",
    ),
    "no hosts": (
        {"pools/empty": {"role": "agent", "hosts": {}}},
        "pools.empty.hosts",
        "an empty mapping",
        "machines",
        "hosts: {gpu-1: 10.0.0.21}",
    ),
    # one of a few
    "a role": ({"pools/rtx/role": "agnet"}, "pools.rtx.role", '"agnet"', "server, agent", "write agent"),
    "a component": ({"k3s/disable": ["treafik"]}, "k3s.disable[0]", '"treafik"', "coredns", "write traefik"),
    "a fit": ({"fit": "strict"}, "fit", '"strict"', "enforce, warn, off", "write"),
    "an architecture": (
        {"k3s/binarySha256": {"arm": "a" * 64}},
        "k3s.binarySha256.arm",
        "arm",
        "amd64, arm64",
        "write arm64",
    ),
    # names and addresses
    "a node name": (
        {"pools/rtx/hosts/GPU_2": "10.0.0.22"},
        "pools.rtx.hosts.GPU_2",
        '"GPU_2"',
        "RFC 1123",
        "gpu-2",
    ),
    "a long node name": (
        {f"pools/rtx/hosts/{'a' * 64}": "10.0.0.22"},
        f"pools.rtx.hosts.{'a' * 64}",
        "",
        "63",
        "aaa",
    ),
    "a pool name": (
        {"pools/R": {"role": "agent", "hosts": {"h": "10.0.0.9"}}},
        "pools.R",
        "",
        "RFC 1123",
        "write r",
    ),
    "a workload name": ({"workloads/W": {}}, "workloads.W", "", "RFC 1123", "write w"),
    "a namespace": ({"workloads/w/namespace": "A"}, "workloads.w.namespace", "", "RFC 1123", "write a"),
    "a resource": (
        {"workloads/w/resource": "gpu"},
        "workloads.w.resource",
        '"gpu"',
        "extended",
        "nvidia.com/gpu",
    ),
    "a label key": (
        {"workloads/w/nodeSelector": {"a b": "c"}},
        "workloads.w.nodeSelector.a b",
        "a b",
        "label key",
        "",
    ),
    "a label value": (
        {"workloads/w/nodeSelector": {"a": "b c"}},
        "workloads.w.nodeSelector.a",
        "b c",
        "label value",
        "",
    ),
    "a DNS name": (
        {"pools/rtx/hosts/gpu-1": "gpu-1.lan"},
        "pools.rtx.hosts.gpu-1",
        '"gpu-1.lan"',
        "IPv4",
        "10.0.0.11",
    ),
    "a bastion with its user": (
        {"ssh/bastion": {"address": "me@bastion"}},
        "ssh.bastion.address",
        '"me@bastion"',
        "a name or an IPv4 address, without user and port",
        "write for instance bastion.example.org",
    ),
    "a key file and an agent": (
        {"ssh/agent": True},
        "ssh.privateKeyFile",
        "ssh.privateKeyFile and ssh.agent: true",
        "one way to the private key",
        "remove all but one",
    ),
    "a server that is gone": (
        {"pools/control/hosts/server-1": {"address": "10.0.0.11", "gone": True}},
        "pools.control.hosts.server-1.gone",
        "true, for a server",
        "an agent",
        "docs/operations.md",
    ),
    "a taint without an effect": (
        {"pools/rtx/taints": ["team=red"]},
        "pools.rtx.taints[0]",
        '"team=red"',
        "key=value:Effect",
        "team=red:NoSchedule",
    ),
    "a label that the program sets": (
        {"pools/rtx/labels": {"accelerator": "fast"}},
        "pools.rtx.labels.accelerator",
        "which the program, from gpu.product, sets",
        "nothing else sets",
        "remove it",
    ),
    "a taint with two values": (
        {
            "pools/rtx/taints": ["team=red:NoSchedule"],
            "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "taints": ["team=blue:NoSchedule"]},
        },
        "pools.rtx.hosts.gpu-1.taints",
        "team=red:NoSchedule and team=blue:NoSchedule",
        "one value",
        "remove one of the two",
    ),
    "a label by k3s's own key": (
        {"k3s/config": {"node-label": ["zone=a"]}},
        "k3s.config.node-label",
        "the key node-label",
        "does not write itself",
        "write labels in the pools instead",
    ),
    "a check that doctor does not know": (
        {"doctor": {"waive": ["swop"]}},
        "doctor.waive[0]",
        '"swop"',
        "one of address, cgroup, clock",
        "write swap",
    ),
    "a check of one host that doctor does not know": (
        {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "waive": ["owner"]}},
        "pools.rtx.hosts.gpu-1.waive[0]",
        '"owner"',
        "one of address, cgroup, clock",
        "write",
    ),
    "a node address twice": (
        {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "nodeIp": "10.0.0.11"}},
        "pools.rtx.hosts.gpu-1",
        "the address 10.0.0.11, which pools.control.hosts.server-1 has already",
        "an address of its own",
        "correct one",
    ),
    "a login twice": (
        {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.11", "nodeIp": "10.1.0.11"}},
        "pools.rtx.hosts.gpu-1",
        "the address 10.0.0.11 port 22, which pools.control.hosts.server-1 has already",
        "an address (or a port) of its own",
        "correct one",
    ),
    "a loopback address": (
        {"pools/rtx/hosts/gpu-1": "127.0.0.1"},
        "pools.rtx.hosts.gpu-1",
        "",
        "other nodes",
        "",
    ),
    "a product with spaces": (
        {"pools/rtx/gpu/product": "NVIDIA H200"},
        "pools.rtx.gpu.product",
        "",
        "nvidia-smi",
        "write NVIDIA-H200",
    ),
    "a shared product": (
        {"pools/rtx/gpu/product": "NVIDIA-H200-SHARED"},
        "pools.rtx.gpu.product",
        "",
        "without -SHARED",
        "write NVIDIA-H200",
    ),
    "a port": ({"ssh/port": 0}, "ssh.port", "0", "1 to 65535", "port: 22"),
    "no cards": ({"pools/rtx/gpu/count": 0}, "pools.rtx.gpu.count", "0", "at least 1", "count: 1"),
    "no gpus": ({"workloads/w/gpus": 0}, "workloads.w.gpus", "0", "at least 1", "gpus: 1"),
    "a channel": ({"k3s/version": "stable"}, "k3s.version", "stable", "channel", "v1.36.2+k3s1"),
    "plain http": ({"k3s/mirror": "http://m/x"}, "k3s.mirror", "http://m/x", "https://", "https://"),
    "a short digest": (
        {"k3s/installScriptSha256": "abc"},
        "k3s.installScriptSha256",
        "abc",
        "64",
        "sha256sum",
    ),
    # profiles and slices
    "a profile called none": (
        {"sharing/profiles/none": {}},
        "sharing.profiles.none",
        "none",
        "always there",
        "rename",
    ),
    "a profile name": (
        {"sharing/profiles/a b": {}},
        "sharing.profiles.a b",
        "a b",
        "ConfigMap key",
        "2080ti",
    ),
    "a long profile name": (
        {f"sharing/profiles/{'a' * 55}": {}},
        f"sharing.profiles.{'a' * 55}",
        "",
        "54",
        "",
    ),
    "one slice": (
        {f"{RESOURCES}/0/replicas": 1},
        f"{SLICING}.resources[0].replicas",
        "1",
        "number of replicas must be >= 2",
        "leave the profile empty ({})",
    ),
    "slices without end": (
        {f"{RESOURCES}/0/replicas": 2**63},
        f"{SLICING}.resources[0].replicas",
        "9223372036854775808",
        "cannot unmarshal number",
        "replicas: 6",
    ),
    "no resources": (
        {"sharing/profiles/six/timeSlicing": {}},
        f"{SLICING}.resources",
        "missing",
        "no resources specified",
        "add `resources:",
    ),
    "an empty list": (
        {RESOURCES: []},
        f"{SLICING}.resources",
        "an empty list",
        "no resources specified",
        "resources:",
    ),
    "empty timeSlicing": (
        {"sharing/profiles/six/timeSlicing": None},
        SLICING,
        "nothing",
        "",
        "timeSlicing: {",
    ),
    "another vendor": (
        {f"{RESOURCES}/0/name": "amd.com/gpu"},
        f"{SLICING}.resources[0].name",
        "amd.com/gpu",
        "without a word",
        "nvidia.com/gpu",
    ),
    "a resource that is none": (
        {f"{RESOURCES}/0/name": "nvidia.com/gpus"},
        f"{SLICING}.resources[0].name",
        "nvidia.com/gpus",
        "without a word",
        "write name: nvidia.com/gpu",
    ),
    "a part of a partition": (
        {f"{RESOURCES}/1": {"name": "nvidia.com/mig-1c.2g.10gb", "replicas": 2}},
        f"{SLICING}.resources[1].name",
        "mig-1c.2g.10gb",
        "mig-1g.5gb",
        "remove this entry",
    ),
    "mps beside timeSlicing": (
        {"sharing/profiles/six/mps": MPS, "workloads/w/gpus": 1},
        SLICING,
        "beside mps",
        "takes mps and passes over timeSlicing",
        "remove timeSlicing or mps",
    ),
    "mps of partitions": (
        {
            "sharing/profiles/six": {"mps": {"resources": [{"name": "mig-1g.5gb", "replicas": 2}]}},
            "workloads": {},
        },
        "sharing.profiles.six.mps.resources[0].name",
        "mig-1g.5gb",
        "sharing using MPS is not supported for MIG devices",
        "by timeSlicing",
    ),
    "mps with a mixed strategy": (
        {"sharing/profiles/six": {"mps": MPS, "migStrategy": "mixed"}, "workloads/w/gpus": 1},
        "sharing.profiles.six.migStrategy",
        "beside mps",
        "using --mig-strategy=mixed is not supported with MPS",
        "remove migStrategy",
    ),
    "more clients than MPS serves": (
        {
            "sharing/profiles/six": {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 49}]}},
            "workloads/w/gpus": 1,
        },
        "sharing.profiles.six.mps.resources[0].replicas",
        "49",
        "maximum allowed replicas exceeded: 49 > 48",
        "replicas: 48",
    ),
    "greater requests under MPS": (
        {
            "sharing/profiles/six": {"mps": {**MPS, "failRequestsGreaterThanOne": False}},
            "workloads/w/gpus": 1,
        },
        "sharing.profiles.six.mps.failRequestsGreaterThanOne",
        "false",
        "whatever the file says",
        "remove it",
    ),
    "a greater request under MPS": (
        {"sharing/profiles/six": {"mps": MPS}},
        "workloads.w.gpus",
        "2, on gpu-1 with mps",
        "UnexpectedAdmissionError",
        "share by timeSlicing instead of sharing.profiles.six.mps",
    ),
    "a MIG strategy": (
        {"sharing/profiles/six/migStrategy": "mxed"},
        "sharing.profiles.six.migStrategy",
        '"mxed"',
        "single, mixed",
        "write mixed",
    ),
    "a MIG strategy among flags": (
        {"sharing/profiles/six/flags": {"migStrategy": "mixed"}},
        "sharing.profiles.six.flags",
        "",
        "",
        "migStrategy is written straight into the profile",
    ),
    "a MIG strategy for all pools": (
        {"gpuOperator/values": {"mig": {"strategy": "mixed"}}},
        "gpuOperator.values.mig.strategy",
        "",
        "",
        "write migStrategy in the profiles",
    ),
    "a partition's name": (
        {**MIXED, "pools/rtx/gpu/mig": {"mig-1g.18gb": 7}},
        "pools.rtx.gpu.mig.mig-1g.18gb",
        "mig-1g.18gb",
        "nvidia-smi mig -lgip",
        "write for instance",
    ),
    "no partition": (
        {**MIXED, "pools/rtx/gpu/mig": {"1g.18gb": 0}},
        "pools.rtx.gpu.mig.1g.18gb",
        "0",
        "at least 1",
        "mig: {1g.5gb: 7}",
    ),
    "more partitions than a card has": (
        {**MIXED, "pools/rtx/gpu/mig": {"3g.71gb": 2, "1g.18gb": 2}},
        "pools.rtx.gpu.mig",
        "2 x 3g.71gb, 2 x 1g.18gb",
        "7 together, at most",
        "nvidia-smi -L",
    ),
    "partitions without a strategy": (
        {"pools/rtx/gpu/mig": {"1g.18gb": 7}},
        "pools.rtx.gpu.mig",
        "profile six without migStrategy",
        "nothing runs while MIG is on",
        "migStrategy: mixed",
    ),
    "kinds of partitions under one name": (
        {"sharing/profiles/six/migStrategy": "single", "pools/rtx/gpu/mig": {"1g.18gb": 4, "3g.71gb": 1}},
        "pools.rtx.gpu.mig",
        "2 kinds of partitions",
        "more than one MIG device type present on node",
        "migStrategy: mixed in sharing.profiles.six",
    ),
    "partitions under MPS": (
        {
            "sharing/profiles/six": {"mps": MPS, "migStrategy": "single"},
            "pools/rtx/gpu/mig": {"1g.18gb": 7},
            "workloads/w/gpus": 1,
        },
        "pools.rtx.gpu.mig",
        "mps in the profile six",
        "sharing using MPS is not supported for MIG devices",
        "by timeSlicing",
    ),
    "twice the same": (
        {f"{RESOURCES}/1": {"name": "gpu", "replicas": 3}},
        f"{SLICING}.resources[1].name",
        "a second time",
        "each resource once",
        "remove one",
    ),
    "devices": ({f"{RESOURCES}/0/devices": "all"}, f"{SLICING}.resources[0].devices", "", "", "ignores it"),
    "rename": ({f"{RESOURCES}/0/rename": "x"}, f"{SLICING}.resources[0].rename", "", "", "renameByDefault"),
    "the plugin's own file": (
        {"sharing/profiles/six/version": "v1"},
        "sharing.profiles.six.version",
        "",
        "",
        "writes `version: v1` itself",
    ),
    "an unknown profile": (
        {"pools/rtx/gpu/profile": "sicks"},
        "pools.rtx.gpu.profile",
        '"sicks"',
        "none, six",
        "define sharing.profiles.sicks",
    ),
    "a mistyped profile": ({"pools/rtx/gpu/profile": "sixx"}, "pools.rtx.gpu.profile", "", "", "write six,"),
    "an unknown default": ({"sharing/default": "x"}, "sharing.default", '"x"', "none, six", "write none"),
    "a greater request": (
        {"sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne": True},
        "workloads.w.gpus",
        "2, on gpu-1",
        "UnexpectedAdmissionError",
        "write gpus: 1",
    ),
    # rules that span keys
    "no server": ({"pools/control": REMOVE}, "pools", "no server host", "three or five", "role: server"),
    "two servers": (
        {"pools/control/hosts/server-2": "10.0.0.12", **SEVERAL},
        "pools",
        "server-1, server-2",
        "one, three or five",
        "server-2, to a pool of role agent",
    ),
    "three servers of which none begins": (
        {**THREE, "k3s/initialServer": REMOVE},
        "k3s.initialServer",
        "missing",
        "whose database the others copy",
        "initialServer: server-1",
    ),
    "three servers and no way to them": (
        {**THREE, "k3s/registrationAddress": REMOVE},
        "k3s.registrationAddress",
        "missing",
        "leads to the servers that are up",
        "load balancer",
    ),
    "an initial server that is none": (
        {"k3s/initialServer": "gpu-1"},
        "k3s.initialServer",
        "gpu-1",
        "one of the hosts in pools of role server: server-1",
        "write initialServer: server-1",
    ),
    "a registration address with a port": (
        {"k3s/registrationAddress": "k3s.example.org:6443"},
        "k3s.registrationAddress",
        "k3s.example.org:6443",
        "without user and port",
        "write for instance",
    ),
    "a name twice": (
        {"pools/more": {"role": "agent", "hosts": {"gpu-1": "10.0.0.22"}}},
        "pools.more.hosts.gpu-1",
        "pools.rtx.hosts.gpu-1",
        "a name of its own",
        "rename",
    ),
    "an address twice": (
        {"pools/rtx/hosts/gpu-2": "10.0.0.11"},
        "pools.rtx.hosts.gpu-2",
        "pools.control.hosts.server-1",
        "an address of its own",
        "correct",
    ),
    "no key": (
        {"ssh/privateKeyFile": REMOVE},
        "ssh.privateKeyFile",
        "gpu-1, server-1",
        "sshPrivateKey",
        "pulumi config set --secret sshPrivateKey",
    ),
    "no digest": (
        {"k3s/mirror": REMOVE},
        "k3s.installScriptSha256",
        "missing",
        "runs as root",
        "| sha256sum",
    ),
    "an owned k3s key": ({"k3s/config": {"token-file": "/x"}}, "k3s.config.token-file", "", "", "remove it"),
    "an unknown k3s key": (
        {"k3s/config": {"kubelet-args": ["max-pods=200"]}},
        "k3s.config.kubelet-args",
        "unknown key",
        "k3s server",
        "write kubelet-arg",
    ),
    "an appended k3s key": ({"k3s/config": {"tls-san+": ["x"]}}, "k3s.config.tls-san+", "", "", "k3s.tlsSan"),
    "no runtimes": (
        {"k3s/disable": ["runtimes"]},
        "k3s.disable",
        "runtimes",
        "RuntimeClass",
        "remove runtimes",
    ),
    "the plugin's config": (
        {"gpuOperator/values": {"devicePlugin": {"config": {"name": "x"}}}},
        "gpuOperator.values.devicePlugin.config",
        "",
        "",
        "sharing.profiles",
    ),
    "a driver by values": (
        {"gpuOperator/values": {"driver": {"enabled": True}}},
        "gpuOperator.values.driver.enabled",
        "",
        "",
        "gpuOperator.driver",
    ),
    "a value the chart does not know": (
        {"gpuOperator/values": {"dcgmExporter": {"enable": False}}},
        "gpuOperator.values.dcgmExporter.enable",
        "which the chart does not know",
        "enabled",
        "write enabled instead of enable",
    ),
    "a section the chart does not know": (
        {"gpuOperator/values": {"dcgmexporter": {"enabled": False}}},
        "gpuOperator.values.dcgmexporter",
        "which the chart does not know",
        "dcgmExporter",
        "write dcgmExporter instead of dcgmexporter",
    ),
    "a section that is none": (
        {"gpuOperator/values": {"toolkit": False}},
        "gpuOperator.values.toolkit",
        "false",
        "a mapping",
        "write toolkit: {…}",
    ),
    "variables that are no list": (
        {"gpuOperator/values": {"toolkit": {"env": {"A": "b"}}}},
        "gpuOperator.values.toolkit.env",
        "a mapping",
        "a list",
        "env: [{name: …, value: …}]",
    ),
    "old CRDs": (
        {"gpuOperator/values": {"operator": {"upgradeCRD": False}}},
        "gpuOperator.values.operator.upgradeCRD",
        "",
        "",
        "the hook that refreshes the CRDs",
    ),
    "the MIG manager": (
        {"gpuOperator/values": {"migManager": {"enabled": True}}},
        "gpuOperator.values.migManager.enabled",
        "",
        "",
        "undoes MIG that an administrator set",
    ),
    "the MIG manager's default": (
        {"gpuOperator/values": {"migManager": {"config": {"default": "all-balanced"}}}},
        "gpuOperator.values.migManager.config",
        "",
        "",
        "gpu.mig in their pools",
    ),
    "another containerd": (
        {"gpuOperator/values": {"toolkit": {"env": [{"name": "CONTAINERD_SOCKET", "value": "/run/x"}]}}},
        "gpuOperator.values.toolkit.env[0]",
        "CONTAINERD_SOCKET",
        "does not set",
        "remove this variable",
    ),
    "a repository for a folder": (
        {"gpuOperator/chart": "./charts/gpu-operator", "gpuOperator/repository": "https://charts.example"},
        "gpuOperator.repository",
        "./charts/gpu-operator",
        "bare name",
        "remove repository",
    ),
    "workloads without an operator": (
        {"gpuOperator/enabled": False},
        "gpuOperator.enabled",
        "workloads: w",
        "no node offers a GPU",
        "enabled: true",
    ),
    "k3s's template": (
        {
            "gpuOperator/values": {
                "toolkit": {"env": [{"name": "CONTAINERD_CONFIG", "value": "/etc/config.toml.tmpl"}]}
            }
        },
        "gpuOperator.values.toolkit.env[0]",
        "config.toml.tmpl",
        "network",
        "remove this variable",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(case: str) -> None:
    change, path, found, expected, remedy = REFUSALS[case]
    problem = the_problem(change)
    assert problem.path == path
    assert found in problem.found
    assert expected in problem.expected
    assert remedy in problem.remedy
    assert problem.severity == "error"


# What looks like a refusal and is none

ACCEPTED = {
    "k3s keys that begin like an owned one": {
        "k3s/config": {"disable-network-policy": True, "tls-san-security": True}
    },
    "a request of one where greater ones fail": {
        "sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne": True,
        "workloads/w/gpus": 1,
    },
    "a greater request that goes elsewhere": {
        "sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne": True,
        "pools/other": {
            "role": "agent",
            "hosts": {"gpu-2": "10.0.0.22"},
            "gpu": {"product": "A", "count": 2, "memoryMiB": 1},
        },
        "workloads/w/nodeSelector": {"accelerator": "A"},
    },
    "a containerd configuration that is no template": {
        "gpuOperator/values": {
            "toolkit": {"env": [{"name": "CONTAINERD_CONFIG", "value": "/etc/containerd/config.toml"}]}
        }
    },
    "keys of hosts alone": {
        "ssh/privateKeyFile": REMOVE,
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "privateKeyFile": "a"},
        "pools/control/hosts/server-1": {"address": "10.0.0.11", "privateKeyFile": "b"},
    },
    "partitions under their own names": {**MIXED, "pools/rtx/gpu/mig": {"3g.71gb": 1, "1g.18gb+me": 1}},
    "partitions under one name": {
        "sharing/profiles/six/migStrategy": "single",
        "pools/rtx/gpu/mig": {"1g.18gb": 7},
    },
    "a strategy for cards that are whole": {"sharing/profiles/six/migStrategy": "mixed"},
    "a request of one by MPS": {"sharing/profiles/six": {"mps": MPS}, "workloads/w/gpus": 1},
    "a chart from a registry": {"gpuOperator/chart": "oci://registry.example/charts/gpu-operator"},
    "a bare cluster": {"gpuOperator/enabled": False, "workloads": {}},
    "values of another chart inside the chart": {
        "gpuOperator/values": {"node-feature-discovery": {"worker": {"tolerations": []}}}
    },
    "no runtimes without a GPU": {"k3s/disable": ["runtimes"], "pools/rtx/gpu": REMOVE},
    "no pods at all": {"workloads/w/replicas": 0},
    "the profile none": {"pools/rtx/gpu/profile": "none", "sharing": REMOVE},
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    s.parse(with_(ACCEPTED[case]))


def test_what_no_card_of_a_pool_is_gets_a_warning() -> None:
    """NVIDIA's plugin skips it; the article's profile for an A100 names five resources."""
    more = {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}
    (problem,) = s.parse(with_({f"{RESOURCES}/1": more})).warnings
    assert problem.severity == "warning"
    assert problem.path == f"{SLICING}.resources[1].name"
    assert problem.found == "nvidia.com/mig-1g.18gb, which no card of pool rtx is"
    assert "nvidia.com/gpu" in problem.expected and "pools.rtx.gpu.mig" in problem.remedy


def test_values_of_another_release_are_doubted_only() -> None:
    """The table is of one release; a newer chart may know more."""
    values = {"gpuOperator/version": "v26.7.0", "gpuOperator/values": {"gpuCluster": {"deployCR": False}}}
    (problem,) = s.parse(with_(values)).warnings
    assert problem.path == "gpuOperator.values.gpuCluster" and problem.severity == "warning"


def test_warnings_stand_beside_errors() -> None:
    more = {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}
    found = problems({f"{RESOURCES}/1": more, "fit": "strict"})
    assert {path: one.severity for path, one in found.items()} == {
        "fit": "error",
        f"{SLICING}.resources[1].name": "warning",
    }


def test_a_profile_that_no_pool_uses_warns_of_nothing() -> None:
    assert (
        s.parse(with_({f"{RESOURCES}/0/name": "mig-1g.5gb", "pools/rtx/gpu/profile": "none"})).warnings == ()
    )
