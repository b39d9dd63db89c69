"""Refusals of keys that do not go together, and of what the program needs of k3s and the operator."""

from tests.unit.stack_files import REMOVE

SEVERAL = {"k3s/initialServer": "server-1", "k3s/registrationAddress": "k3s.example.org"}
THREE = {"pools/control/hosts/server-2": "10.0.0.12", "pools/control/hosts/server-3": "10.0.0.13", **SEVERAL}

# change, path, a piece of `found`, of `expected`, of `remedy`
REFUSALS = {
    "a way in that leads to a dead server": (
        {
            **THREE,
            "k3s/registrationAddress": "10.0.0.13",
            "pools/control/hosts/server-3": {"address": "10.0.0.13", "gone": True},
        },
        "k3s.registrationAddress",
        "10.0.0.13, the address of server-3, which is gone",
        "leads to the servers that are up",
        "the address of a living server",
    ),
    # rules that span keys
    "two clusters": (
        {"kubeconfig": "~/.kube/config"},
        "kubeconfig",
        "beside k3s",
        "one of the two",
        "remove k3s",
    ),
    "nodes of machines": (
        {"pools/more": {"nodes": ["gpu-9"]}},
        "pools.more.nodes",
        "k3s is installed",
        "role and hosts",
        "write hosts",
    ),
    "no role": ({"pools/rtx/role": REMOVE}, "pools.rtx.role", "missing", "server (", "add `role: agent`"),
    "without hosts": ({"pools/rtx/hosts": REMOVE}, "pools.rtx.hosts", "missing", "machines", "add `hosts:"),
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
        {"k3s/config": {"kube-proxy-args": ["v=2"]}},
        "k3s.config.kube-proxy-args",
        "unknown key",
        "k3s server",
        "write kube-proxy-arg",
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
    "a pool that is none": (
        {"workloads/w/pool": "rtz"},
        "workloads.w.pool",
        "rtz, which is no pool",
        "a pool with gpu: rtx",
        "write pool: rtx",
    ),
    "a pool without cards": (
        {"workloads/w/pool": "control"},
        "workloads.w.pool",
        "control, a pool without gpu",
        "a pool with gpu: rtx",
        "write pool: rtx",
    ),
    "the label of pools": (
        {"pools/rtx/labels": {"k3s-gpu-sharing/pool": "mine"}},
        "pools.rtx.labels.k3s-gpu-sharing/pool",
        "which the program, for workloads with pool, sets",
        "nothing else",
        "remove it",
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
