"""Accepted changes of the good file that resemble refused ones."""

from typing import Any

from tests.data import refused_k3s_config, refused_kubelet, refused_sharing
from tests.data.stack_files import A100_40GB, MIXED, MPS, REMOVE

ACCEPTED: dict[str, dict[str, Any]] = {
    **refused_kubelet.ACCEPTED,
    **refused_k3s_config.ACCEPTED,
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
    "two profiles with mps before GPU Operator 26.3": {
        **refused_sharing.REFUSALS["two profiles with mps"][0],
        "gpuOperator/version": "v25.10.1",
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
    "as many double partitions as a card has": {**MIXED, **A100_40GB, "pools/rtx/gpu/mig": {"1g.10gb": 4}},
    "partitions that leave a part of the memory": {
        **MIXED,
        "pools/rtx/gpu/mig": {"3g.71gb": 1, "2g.35gb": 1, "1g.18gb": 2},
    },
    "partitions of an unknown product": {
        **MIXED,
        "pools/rtx/gpu/product": "NVIDIA-X1",
        "pools/rtx/gpu/mig": {"1g.21gb": 7},
    },
    "no strategy by its name": {"sharing/profiles/six/migStrategy": "none"},
    "as many clients as a card older than Turing serves": {
        "pools/rtx/gpu/product": "Tesla-V100-SXM2-32GB",
        "pools/rtx/gpu/memoryMiB": 32768,
        "sharing/profiles/six": {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 16}]}},
        "workloads/w/gpus": 1,
    },
    "a tester of CUDA 12 on a card too old for 13": {
        "pools/rtx/gpu/product": "Tesla-V100-SXM2-32GB",
        "pools/rtx/gpu/memoryMiB": 32768,
        "pools/rtx/gpu/driverVersion": "580.126.20",
        "workloads/w/command": ["/usr/bin/dcgmproftester12", "-t", "1004"],
    },
    "the operator's driver for a card too old for newer ones": {
        "pools/rtx/gpu/product": "NVIDIA-GeForce-GTX-1080-Ti",
        "gpuOperator/driver": "operator",
        "gpuOperator/values": {"driver": {"version": "580.173.02"}},
    },
    "an older card whose drivers are objects of the cluster": {
        "pools/rtx/gpu/product": "NVIDIA-GeForce-GTX-1080-Ti",
        "gpuOperator/driver": "operator",
        "gpuOperator/values": {"driver": {"nvidiaDriverCRD": {"enabled": True, "deployDefaultCR": False}}},
    },
    "open kernel modules for a card of Turing": {
        "pools/rtx/gpu/product": "Tesla-T4",
        "gpuOperator/driver": "operator",
        "gpuOperator/values": {"driver": {"kernelModuleType": "open"}},
    },
    "an older operator, whose driver supports the card": {
        "pools/rtx/gpu/product": "NVIDIA-GeForce-GTX-1080-Ti",
        "gpuOperator/driver": "operator",
        "gpuOperator/version": "v26.3.3",
    },
    "an image of CUDA 13 away from the cards too old for it": {
        "pools/old": {
            "role": "agent",
            "hosts": {"gpu-2": "10.0.0.22"},
            "gpu": {"product": "Tesla-V100-SXM2-32GB", "count": 1, "memoryMiB": 32768},
        },
        "workloads/w": {"pool": "rtx", "image": "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04"},
    },
    "a strategy for cards that are whole": {"sharing/profiles/six/migStrategy": "mixed"},
    "a request of one by MPS": {"sharing/profiles/six": {"mps": MPS}, "workloads/w/gpus": 1},
    "a chart from a registry": {"gpuOperator/chart": "oci://registry.example/charts/gpu-operator"},
    "a bare cluster": {"gpuOperator/enabled": False, "workloads": {}},
    "values of another chart inside the chart": {
        "gpuOperator/values": {"node-feature-discovery": {"worker": {"tolerations": []}}}
    },
    "values as the chart has them": {
        "gpuOperator/values": {
            "devicePlugin": {"enabled": True, "env": [{"name": "A", "value": "true"}], "args": ["--v=1"]},
            "nfd": {"enabled": True},
            "clusterPolicy": {"deployCR": True},
            "operator": {
                "runtimeClass": "nvidia",
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            },
            "driver": {"version": 580, "upgradePolicy": {"maxUnavailable": "25%"}, "startupProbe": None},
            "dcgm": {"enabled": True, "resources": {"limits": {"cpu": 1}}},
            "daemonsets": {"rollingUpdate": {"maxUnavailable": 2}, "tolerations": [{"operator": "Exists"}]},
            "sandboxWorkloads": {"enabled": False},
        }
    },
    "taints on every node that the operator's pods tolerate": {
        "pools/control/taints": ["a=b:NoExecute"],
        "pools/rtx/taints": ["nvidia.com/gpu=present:NoSchedule"],
        "gpuOperator/values": {
            "operator": {"tolerations": [{"key": "a", "value": "b"}]},
            "node-feature-discovery": {
                "master": {"tolerations": [{"operator": "Exists"}]},
                "gc": {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute"}]},
            },
        },
    },
    "a taint that prefers other nodes": {
        "pools/control/taints": ["a=b:PreferNoSchedule"],
        "pools/rtx/taints": ["c=d:PreferNoSchedule"],
    },
    "values of the chart before": {
        "gpuOperator/version": "v26.3.3",
        "gpuOperator/values": {"cdi": {"default": True}, "operator": {"initContainer": {"image": "cuda"}}},
    },
    "no runtimes without a GPU": {"k3s/disable": ["runtimes"], "pools/rtx/gpu": REMOVE},
    "labels that are meant for users": {
        "pools/rtx/labels": {
            "nvidia.com/gpu-driver-upgrade.skip": "true",
            "topology.kubernetes.io/zone": "a",
            "node-role.kubernetes.io/worker": "",
        }
    },
    "an external address of its own": {
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "externalIp": "10.0.0.21"}
    },
    "no pods at all": {"workloads/w/replicas": 0},
    "the profile none": {"pools/rtx/gpu/profile": "none", "sharing": REMOVE},
}
