"""By place: values of the fields of the hosts and how they are reached."""

from collections.abc import Mapping

from tests.data.field_values.values import BLANKS, HOSTS, KEY, NAMES, Values

VALUES: Mapping[str, Values] = {
    "ssh/user": Values(
        ("root", "ubuntu", "a.b-c_d", "_x", "1abc", "a" * 32, "Administrator"),
        (
            *BLANKS[:-1],
            "root; touch /tmp/x",
            "-oProxyCommand=x",
            "a:b",
            "a@b",
            "ä",
            "$USER",
            "42",
            ".",
            "a" * 33,
            "a/b",
        ),
    ),
    "ssh/bastion/address": HOSTS._replace(accepted=(*HOSTS.accepted, "localhost", "127.0.0.1")),
    "ssh/bastion/hostKey": Values(
        (KEY, f"{KEY} root@gpu-1", "ecdsa-sha2-nistp256 AAAA="),
        (f"{KEY}\n", f"{KEY} a\nb", "ssh-rsa AAAA", "ssh-ed25519", f" {KEY}", f"{KEY}\0"),
    ),
    "ssh/privateKeyFile": Values(
        ("~/.ssh/id", "key", "schlüssel/my key", "/a/b"),
        ("", " ", "a\n", "a\0b", "a\u202eb", "-----BEGIN\nA", "-----BEGIN A-----", "https://a/b"),
    ),
    "ssh/port": Values((1, 65535), (0, 65536, 10**30, -1, "22", 22.5, True)),
    "kubeconfig/file": Values(("~/.kube/config", "/etc/k"), ("", "a\n", "$KUBECONFIG", "https://a:b@c")),
    "kubeconfig/context": Values(("lab", "me@lab x"), ("", " ", "a\n", "a\0b")),
    "pools/rtx/hosts/gpu-1": Values(
        ("10.0.0.21", "203.0.113.6", "100.64.0.1", "192.0.2.1"),
        (
            *(
                "255.255.255.255",
                "240.0.0.1",
                "0.0.0.0",
                "0.1.2.3",
                "127.0.0.1",
                "169.254.1.1",
                "224.0.0.1",
                "239.1.1.1",
            ),
            *(
                "10.0.0.256",
                "10.0.0",
                "10.0.0.021",
                "10.0.0.21\n",
                "١.1.1.1",
                "::1",
                "gpu-1",
                "10.0.0.21/24",
                "a:b@c",
            ),
        ),
    ),
    "pools/rtx/hosts": Values(
        ({"a.b-1": "10.0.0.1"}, {"null": "10.0.0.1"}),
        tuple({name: "10.0.0.1"} for name in NAMES if name != "a.b"),
    ),
    "pools/rtx/flannelIface": Values(("eth1", "enp3s0f0.100"), ("", "a" * 16, "eth1\n", "a b", "-a", "ä")),
    "pools/rtx/labels": Values(
        ({"a": ""}, {"example.org/a_b": "c.D"}, {"a" * 63: "b" * 63}, {"a." * 126 + "b/c": "d"}),
        (
            *(
                {key: "a"}
                for key in (
                    "",
                    "-a",
                    "a b",
                    "a\n",
                    "A/b",
                    "a/",
                    "/a",
                    "a" * 64,
                    "a/b/c",
                    "a/" + "b" * 64,
                    "٣",
                    "x" * 254 + "/a",
                )
            ),
            *({"a": value} for value in ("-a", "a\n", "a" * 64, "ä", "a b", "a/b")),
        ),
    ),
    "pools/rtx/taints": Values(
        (
            [
                "a=b:NoSchedule",
                "a:NoExecute",
                "a=:NoSchedule",
                "node-role.kubernetes.io/control-plane:NoSchedule",
            ],
        ),
        tuple(
            [taint]
            for taint in (
                *(
                    "a" * 64 + "=b:NoSchedule",
                    "a=" + "b" * 64 + ":NoSchedule",
                    "a=b:NoSchedule\n",
                    "a=b",
                    "a:b",
                    ":NoSchedule",
                ),
                *(
                    "node.kubernetes.io/unschedulable:NoSchedule",
                    "node.kubernetes.io/not-ready:NoExecute",
                    "a=b:noSchedule",
                ),
                *(
                    "node.cloudprovider.kubernetes.io/uninitialized:NoSchedule",
                    "ä=b:NoSchedule",
                    "a b:NoSchedule",
                ),
            )
        ),
    ),
    "pools/rtx/reserved": Values(
        ({"nvidia.com/gpu": 0},), ({"nvidia.com/gpu": 10**30}, {"gpu": 1}, {"nvidia.com/gpu\n": 1})
    ),
    "pools/rtx/gpu/count": Values((1, 16, 32), (0, 33, 10**9)),
    "pools/rtx/gpu/memoryMiB": Values((1, 294912), (0, 10**9)),
    "pools/rtx/gpu/product": Values(
        ("NVIDIA-H200", "Tesla-T4"), ("", "a b", "NVIDIA-H200\n", "a" * 64, "a-SHARED", "ä")
    ),
    "pools/rtx/gpu/profile": Values(("none", "six", "2080ti-12gb"), ("", "a b", "six\n", "a" * 55, "ä")),
    "pools/rtx/gpu/driverVersion": Values(("580", "580.126.20"), ("580\n", "٥٨٠", "58", "580.", "v580", "")),
    "pools/rtx/gpu/mig": Values(
        ({"1g.5gb": 7}, {"1g.10gb+me": 1}), ({"1g.5gb\n": 1}, {"١g.5gb": 1}, {"1g.5gb": 10**9})
    ),
}
