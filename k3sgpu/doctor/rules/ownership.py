"""Rules about the Kubernetes that is already on a machine: whose it is, and which version."""

from collections.abc import Iterator, Mapping

from k3sgpu.doctor.machine import Machine, Plan, parse_version
from k3sgpu.problem import Problem

# Files of other distributions, by the beginning of their path.
_DISTRIBUTIONS = {
    "/etc/kubernetes/": "kubeadm (or a similar installer)",
    "/var/lib/rancher/rke2": "RKE2",
    "/var/snap/microk8s": "MicroK8s",
    "/var/snap/k8s": "Canonical Kubernetes",
    "/var/lib/k0s": "k0s",
}


def owner(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """No Kubernetes is on the machine but the one that this stack installed for this host.

    The owner marker tells them apart; anybody else's Kubernetes is never touched.
    """
    marker = machine.marker
    k3s = machine.facts.one("k3s-binary") or machine.facts.one("k3s-unit")
    if marker and (marker.get("project"), marker.get("stack")) != (plan.project, plan.stack):
        yield _of_another_stack(machine, plan, marker)
    elif marker and not machine.belongs_to(plan):
        # Without k3s it was only staged: the next run stages it under its new name.
        if k3s:
            yield _of_another_host(machine, marker)
    elif marker:
        yield from _copied_disk(machine, marker)
        yield from _changed_role(machine)
    elif k3s and (permission := machine.spec.get("adopt")):
        yield from _changed_since_adopt(machine, plan, permission)
        yield from _changed_role(machine)
    elif k3s:
        version = machine.facts.one("k3s-version") or "of unknown version"
        yield machine.problem(
            f"k3s {version} that this program did not install ({k3s})",
            "a machine without Kubernetes",
            "take it over: python -m k3sgpu adopt\n"
            f'or if nobody needs it: {machine.ssh} "sudo /usr/local/bin/k3s-uninstall.sh" '
            "(on an agent: k3s-agent-uninstall.sh)\nor use another machine",
        )
    yield from other_distributions(machine)


def _changed_since_adopt(machine: Machine, plan: Plan, permission: str) -> Iterator[Problem]:
    """A k3s that was installed by hand is taken over as `adopt` has read it, and not otherwise."""
    again = "run python -m k3sgpu adopt again: it reads k3s anew"
    found, version = machine.facts.one("k3s-files"), machine.facts.one("k3s-version")
    if permission[: len(permission) // 2] != found[: len(permission) // 2]:
        yield machine.problem(
            "the unit or the configuration of its k3s has changed since adopt read it",
            "k3s as it was then: this stack may take over that one only",
            again,
        )
    elif version != plan.k3s_version:
        yield machine.problem(
            f"k3s {version or 'of unknown version'}, and the stack file says {plan.k3s_version}",
            "the installed release until k3s is taken over",
            f"k3s: {{version: {version or '…'}}} for the first pulumi up, and upgrade after it\nor {again}",
        )


def _of_another_stack(machine: Machine, plan: Plan, marker: Mapping[str, str]) -> Problem:
    host, stack = marker.get("host"), marker.get("stack")
    return machine.problem(
        f"this machine is host {host} of stack {stack}, project {marker.get('project')}",
        f"a machine that is not in use, or one of stack {plan.stack}, project {plan.project}",
        f"remove it there first (remove {host} from its stack file, pulumi up --stack {stack}), "
        f"then add it here\nor leave it there, and remove {machine.name} from this stack file",
    )


def _of_another_host(machine: Machine, marker: Mapping[str, str]) -> Problem:
    host = marker.get("host")
    return machine.problem(
        f"this machine is already host {host} of this stack",
        f"the key {host} in the stack file, or a machine that is not in use",
        f"keep its key: call it {host} again in the stack file\n"
        f"or remove it, run pulumi up, and then add it as {machine.name}: "
        "it is drained, uninstalled and installed anew",
    )


def _copied_disk(machine: Machine, marker: Mapping[str, str]) -> Iterator[Problem]:
    written, own = marker.get("machine-id"), machine.facts.one("machine-id")
    if written and own and written != own:
        yield machine.problem(
            f"its marker was written by another machine (machine-id {written}, here {own})",
            "the machine that was installed as this host, not a copy of its disk",
            "if it is a copy: remove k3s (k3s-uninstall.sh, k3s-agent-uninstall.sh), /etc/k3s-gpu-sharing\n"
            "if only its machine-id is new: write that into /etc/k3s-gpu-sharing/owner",
        )


def _changed_role(machine: Machine) -> Iterator[Problem]:
    other = "k3s-agent.service" if machine.role == "server" else "k3s.service"
    if any(unit.split()[0] == other for unit in machine.facts.all("k3s-unit")):
        yield machine.problem(
            f"it runs {other}, and its role in the stack file is {machine.role}",
            "the role it was installed with: k3s cannot change it in place",
            f"move {machine.name} back to its old pool\nor remove it, run pulumi up, and add it again",
        )


def other_distributions(machine: Machine) -> Iterator[Problem]:
    """No other Kubernetes than k3s is on the machine."""
    paths = machine.facts.all("kubernetes")
    for path in paths:
        names = [name for start, name in _DISTRIBUTIONS.items() if path.startswith(start)]
        yield machine.problem(
            f"{names[0] if names else 'another Kubernetes'}: {path}",
            "a machine without another Kubernetes",
            "remove it with its own tools (kubeadm reset, rke2-uninstall.sh, k0s reset …)\n"
            "or use another machine",
        )
    # k3s's own kubelet is part of its unit.
    if "kubelet" in machine.facts.all("service") and not paths:
        yield machine.problem(
            "a kubelet runs as a service of its own",
            "a machine without another Kubernetes",
            f'{machine.ssh} "systemctl status kubelet", then remove the Kubernetes that it belongs to\n'
            "or use another machine",
        )


def version(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The planned version of k3s is not older than the installed one, and at most one minor version newer."""
    text = machine.facts.one("k3s-version")
    installed, planned = parse_version(text), parse_version(plan.k3s_version)
    if not (machine.belongs_to(plan) and installed and planned):
        return
    if installed > planned:
        yield machine.problem(
            f"k3s {text} is installed",
            f"{plan.k3s_version} or older: k3s cannot be downgraded in place",
            f"k3s: {{version: {text}}} in the stack file\n"
            "or restore a snapshot of the older version (docs.k3s.io, upgrades, roll-back)",
        )
    elif planned[:2] > (installed[0], installed[1] + 1):
        step = f"v{installed[0]}.{installed[1] + 1}"
        yield machine.problem(
            f"k3s {text} is installed, and the stack file says {plan.k3s_version}",
            f"a release of {step}: Kubernetes does not support an upgrade that skips a minor version",
            f"k3s: {{version: {step}.…}} in the stack file, then pulumi up; then {plan.k3s_version}",
        )
