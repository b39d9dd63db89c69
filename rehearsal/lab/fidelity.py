"""Which parts of a rehearsal were real; the table is docs/explanation/fidelity.md."""

from collections.abc import Mapping

from rehearsal.toolchain.golang import KUBERNETES_VERSION
from rehearsal.toolchain.toolbox import Tools


def describe_parts(tools: Tools, origins: Mapping[str, str], kubelets: str = "kwok") -> str:
    """Two lines: the real parts and the stand-ins. `origins` has the origin of each provider plugin."""
    real = [
        f"Pulumi's engine ({tools.pulumi_origin})",
        "systemd and OpenSSH on each machine",
        f"kube-apiserver, scheduler, controller-manager {KUBERNETES_VERSION}, kine and etcd",
        "NVIDIA's parser of sharing files",
    ]
    if kubelets == "real":
        real.append(f"kubelets and kube-proxy {KUBERNETES_VERSION}, containerd, runc and CNI")
        real.append("NVIDIA's device plugin, feature discovery and toolkit; node feature discovery")
    stand_ins = [
        "k3s's packaging",
        *(["kubelets (kwok)"] if kubelets == "kwok" else []),
        "GPU Operator and its chart" + (", with its operands" if kubelets == "kwok" else ""),
        "GPUs",
    ]
    for name, origin in origins.items():
        (stand_ins if origin == "stand-in" else real).append(
            f"Pulumi's {name} plugin" + ("" if origin == "stand-in" else f" ({origin})")
        )
    return f"real:      {'; '.join(real)}\nstand-ins: {'; '.join(stand_ins)} (docs/explanation/fidelity.md)"
