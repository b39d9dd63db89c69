"""The rules for machines: each is a small function from what a machine said to what is wrong with that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from k3sgpu.doctor.machine import Machine, Plan, release
from k3sgpu.doctor.rules.between_hosts import CROSS_RULES
from k3sgpu.doctor.rules.gpu import (
    containerd,
    driver,
    driver_image,
    fabric,
    gpus,
    headers,
    runtime,
    secure_boot,
    toolkit,
)
from k3sgpu.doctor.rules.network import address, download, names, route
from k3sgpu.doctor.rules.system import (
    inodes,
    iptables,
    kernel_config,
    modules,
    mounts,
    network_manager,
    networks,
    security,
    swap,
    time_sync,
)
from k3sgpu.problem import Problem

KIB_PER_GIB = 1024 * 1024

# docs.k3s.io/installation/requirements, and the ports that Kubernetes' own parts listen on.
AGENT_PORTS = {
    6444: "k3s's way to the API servers",
    10010: "containerd",
    10248: "the kubelet's health",
    10249: "kube-proxy's metrics",
    10250: "the kubelet",
    10256: "kube-proxy's health",
}
SERVER_PORTS = AGENT_PORTS | {
    6443: "the API server",
    10257: "the controller manager",
    10258: "the cloud controller",
    10259: "the scheduler",
}
ETCD_PORTS = {2379: "etcd's clients", 2380: "etcd's members"}
REGISTRY_PORTS = {5001: "the embedded registry"}
UDP_PORTS = {"vxlan": 8472, "wireguard-native": 51820}

# What hostscripts and k3s's install script call, and the package that has it on most distributions.
TOOLS = {
    "sha256sum": "coreutils",
    "timeout": "coreutils",
    "mktemp": "coreutils",
    "cut": "coreutils",
    "od": "coreutils",
    "tee": "coreutils",
    "cmp": "diffutils",
    "flock": "util-linux",
    "awk": "gawk",
    "sed": "sed",
    "grep": "grep",
    "tar": "tar",
    "ip": "iproute2",
    "ps": "procps",
    "modprobe": "kmod",
}

# What counts as little: "2 GB" machines show some 1.9 GiB.
MEMORY_KIB = {"server": 1_800_000, "agent": 900_000}
MEMORY_GPU_KIB = 3_700_000
PROGRAM_KIB = 200_000  # k3s's program twice: the next one is written beside it
DISK_LEAST_GIB = 5  # k3s with its images, before any workload
DISK_GIB = 10
DISK_GPU_GIB = 40  # what NVIDIA asks for on the root disk of a GPU node: CUDA images are large

# Files of other distributions, by the start of their path.
OTHERS = {
    "/etc/kubernetes/": "kubeadm (or a like installer)",
    "/var/lib/rancher/rke2": "RKE2",
    "/var/snap/microk8s": "MicroK8s",
    "/var/snap/k8s": "Canonical Kubernetes",
    "/var/lib/k0s": "k0s",
}


def privileges(machine: Machine, plan: Plan) -> Iterator[Problem]:
    user, how = machine.spec["user"], machine.facts.one("privileges")
    said = f": {text}" if (text := machine.facts.one("sudo-said")) else ""
    if how == "wrong-password":
        yield machine.problem(
            f"{user} is not root, and sudo refused the secret sudoPassword{said}",
            "the password of this login, and sudo allowed to it",
            f"pulumi config set --secret sudoPassword\n{machine.ssh} -t sudo -v   # must accept the password",
        )
    elif how == "none":
        yield machine.problem(
            f"{user} is not root, and sudo wants a password or refuses{said}",
            "root, sudo without a password, or sudo with the secret sudoPassword",
            "pulumi config set --secret sudoPassword\n"
            f"or {machine.ssh} -t \"echo '{user} ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/{user}\"",
        )


def system(machine: Machine, plan: Plan) -> Iterator[Problem]:
    facts = machine.facts
    if (kernel := facts.one("kernel")) != "Linux":
        yield machine.problem(f"kernel {kernel or 'unknown'}", "Linux", "use a machine that runs Linux")
        return
    if (arch := facts.one("arch")) not in ("x86_64", "aarch64"):
        yield machine.problem(
            f"machine type {arch or 'unknown'}",
            "x86_64 or aarch64: k3s and NVIDIA's images exist for these",
            "use another machine, or a 64-bit system on this one",
        )
    if facts.one("systemd") != "running":
        yield machine.problem(
            f"{facts.one('os') or 'the system'} does not run systemd",
            "systemd as init: k3s is installed as a unit of it",
            "use a distribution with systemd (Debian, Ubuntu, RHEL, SUSE …); a plain container has none",
        )


def tools(machine: Machine, plan: Plan) -> Iterator[Problem]:
    present = machine.facts.all("tool")
    missing = [tool for tool in TOOLS if tool not in present]
    packages = sorted({TOOLS[tool] for tool in missing})
    if not plan.mirror.startswith("file://") and not {"curl", "wget"} & set(present):
        missing.append("curl or wget")
        packages.append("curl")
    if missing:
        yield machine.problem(
            f"not there: {', '.join(missing)}",
            "the commands the installation uses",
            f'{machine.ssh} "{_install(machine)} {" ".join(packages)}"',
        )


def _install(machine: Machine) -> str:
    system_name = machine.facts.one("os").lower()
    if "debian" in system_name or "ubuntu" in system_name:
        return "sudo apt-get install -y"
    return "sudo zypper install -y" if "suse" in system_name else "sudo dnf install -y"


def cgroup(machine: Machine, plan: Plan) -> Iterator[Problem]:
    kind = machine.facts.one("cgroup-fs")
    if kind != "cgroup2fs":
        wanted = release(plan.k3s_version)
        # Kubernetes 1.35 made the kubelet's failCgroupV1 true.
        refuses = wanted is None or wanted[:2] >= (1, 35)
        yield machine.problem(
            f"cgroup v1 or hybrid (/sys/fs/cgroup is {kind or 'unknown'})",
            "cgroup v2: kubelets of Kubernetes 1.35 and later refuse v1",
            "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line "
            "(/etc/default/grub, then update-grub) and reboot",
            "error" if refuses else "warning",
        )
        return
    present = machine.facts.one("cgroup-controllers").split()
    missing = [name for name in ("cpu", "cpuset", "memory", "pids") if name not in present]
    if missing:
        yield machine.problem(
            f"cgroup controllers not there: {', '.join(missing)}",
            "cpu, cpuset, memory and pids, so that limits of pods hold",
            "on a Raspberry Pi add cgroup_memory=1 cgroup_enable=memory to cmdline.txt and reboot; "
            "in a container the host has to delegate them",
            "warning",
        )


def owner(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """Whose Kubernetes is here? Ours is recognised by its marker, anybody else's is left alone."""
    marker = machine.marker
    if marker and (marker.get("project"), marker.get("stack")) != (plan.project, plan.stack):
        there = f"host {marker.get('host')} of stack {marker.get('stack')}, project {marker.get('project')}"
        yield machine.problem(
            f"this machine is {there}",
            f"a machine of nobody, or of stack {plan.stack}, project {plan.project}",
            f"take it out there first (remove {marker.get('host')} from its stack file, "
            f"pulumi up --stack {marker.get('stack')}), then add it here\n"
            f"or leave it there, and take {machine.name} out of this stack file",
        )
    elif marker and not machine.belongs_to(plan):
        yield machine.problem(
            f"this machine is already host {marker.get('host')} of this stack",
            f"the key {marker.get('host')} in the stack file, or a machine that is not in use",
            f"keep its key: call it {marker.get('host')} again in the stack file\n"
            f"or take it out, run pulumi up, and then add it as {machine.name}: "
            "it is drained, cleaned and installed anew",
        )
    elif marker:
        yield from _same_machine(machine, marker)
    elif k3s := machine.facts.one("k3s-binary") or machine.facts.one("k3s-unit"):
        installed = machine.facts.one("k3s-version") or "of some version"
        yield machine.problem(
            f"k3s {installed} that this program did not install ({k3s})",
            "a machine without Kubernetes",
            f'if nobody needs it: {machine.ssh} "sudo /usr/local/bin/k3s-uninstall.sh" '
            "(on an agent: k3s-agent-uninstall.sh)\nor use another machine",
        )
    for path in machine.facts.all("kubernetes"):
        name = next((name for start, name in OTHERS.items() if path.startswith(start)), "another Kubernetes")
        yield machine.problem(
            f"{name}: {path}",
            "a machine without another Kubernetes",
            "remove it with its own tools (kubeadm reset, rke2-uninstall.sh, k0s reset …)\n"
            "or use another machine",
        )
    # k3s's kubelet is no unit of its own.
    if "kubelet" in machine.facts.all("service") and not machine.facts.all("kubernetes"):
        yield machine.problem(
            "a kubelet runs as a service of its own",
            "a machine without another Kubernetes",
            f'{machine.ssh} "systemctl status kubelet", then remove what it belongs to\n'
            "or use another machine",
        )


def _same_machine(machine: Machine, marker: Mapping[str, str]) -> Iterator[Problem]:
    written, own = marker.get("machine-id"), machine.facts.one("machine-id")
    if written and own and written != own:
        yield machine.problem(
            f"its marker was written by another machine (machine-id {written}, here {own})",
            "the machine that was installed as this host, not a copy of its disk",
            "if it is a copy: remove k3s (k3s-uninstall.sh, k3s-agent-uninstall.sh), /etc/k3s-gpu-sharing\n"
            "if it only got a new machine-id: write that into /etc/k3s-gpu-sharing/owner",
        )
    other = "k3s-agent.service" if machine.role == "server" else "k3s.service"
    if any(unit.split()[0] == other for unit in machine.facts.all("k3s-unit")):
        yield machine.problem(
            f"it runs {other}, and its role in the stack file is {machine.role}",
            "the role it was installed with: k3s cannot change it in place",
            f"move {machine.name} back to its old pool\nor take it out, run pulumi up, and add it again",
        )


def version(machine: Machine, plan: Plan) -> Iterator[Problem]:
    said = machine.facts.one("k3s-version")
    installed, wanted = release(said), release(plan.k3s_version)
    if not (machine.belongs_to(plan) and installed and wanted):
        return
    if installed > wanted:
        yield machine.problem(
            f"k3s {said} is installed",
            f"{plan.k3s_version} or older: k3s cannot go back in place",
            f"k3s: {{version: {said}}} in the stack file\n"
            "or restore a snapshot of the older version (docs.k3s.io, upgrades, roll-back)",
        )
    elif wanted[:2] > (installed[0], installed[1] + 1):
        step = f"v{installed[0]}.{installed[1] + 1}"
        yield machine.problem(
            f"k3s {said} is installed, and the stack file says {plan.k3s_version}",
            f"a release of {step}: Kubernetes does not support an upgrade that skips a minor version",
            f"k3s: {{version: {step}.…}} in the stack file, then pulumi up; then {plan.k3s_version}",
        )


def ports(machine: Machine, plan: Plan) -> Iterator[Problem]:
    # Where any Kubernetes runs, it holds them; whose it is has a rule of its own.
    if machine.k3s_alive or machine.facts.all("kubernetes"):
        return
    taken = {int(port, 16) for port in machine.facts.all("listens")}
    holders = dict(line.split(" ", 1) for line in machine.facts.all("listener") if " " in line)
    uses = SERVER_PORTS if machine.role == "server" else AGENT_PORTS
    if machine.role == "server" and plan.servers > 1:
        uses = uses | ETCD_PORTS
    if plan.embedded_registry:
        uses = uses | REGISTRY_PORTS
    udp = UDP_PORTS.get(plan.flannel)
    open_udp = {int(port, 16) for port in machine.facts.all("listens-udp")}
    if udp in open_udp and not machine.facts.one("k3s-binary"):
        yield machine.problem(
            f"taken: {udp}/udp",
            f"free: {udp}/udp for the pods' network ({plan.flannel})",
            f"{machine.ssh} \"sudo ss -lnup 'sport = :{udp}'\", then stop or move what is there",
        )
    if held := sorted(taken & uses.keys()):
        yield machine.problem(
            "taken: " + ", ".join(f"{port} (by {holders.get(str(port), 'something')})" for port in held),
            "free: " + ", ".join(f"{port} for {uses[port]}" for port in held),
            f"{machine.ssh} \"sudo ss -ltnp 'sport = :{held[0]}'\", then stop or move what is there",
        )


def memory(machine: Machine, plan: Plan) -> Iterator[Problem]:
    found = machine.facts.number("memory-kib")
    least = MEMORY_GPU_KIB if machine.gpu else MEMORY_KIB[machine.role]
    what = "GPU node" if machine.gpu else f"k3s {machine.role}"
    if found is not None and found < least:
        yield machine.problem(
            f"{gib(found)} of memory",
            f"about {round(least / KIB_PER_GIB)} GiB for a {what}, without workloads",
            "give the machine more memory, or let another one have this role",
            "warning",
        )


def cpu(machine: Machine, plan: Plan) -> Iterator[Problem]:
    found = machine.facts.number("cpus")
    if found == 1 and (machine.role == "server" or machine.gpu):
        yield machine.problem(
            "one CPU",
            f"2 for a {'k3s server' if machine.role == 'server' else 'GPU node'}, without workloads",
            "give the machine another CPU, or let another one have this role",
            "warning",
        )


def disk(machine: Machine, plan: Plan) -> Iterator[Problem]:
    room = machine.facts.number("program-free-kib")
    if room is not None and room < PROGRAM_KIB and not machine.installed(plan):
        yield machine.problem(
            f"{room // 1024} MiB free where k3s's program is put (/usr/local/bin)",
            f"{PROGRAM_KIB // 1024} MiB: an upgrade is written beside the old one",
            f'{machine.ssh} "df -h /usr/local/bin", then make room',
        )
    free = machine.facts.number("disk-free-kib")
    wanted = DISK_GPU_GIB if machine.gpu else DISK_GIB
    if free is None or free >= wanted * KIB_PER_GIB:
        return
    # A running node that has filled its disk must not block a change that may help it.
    blocks = free < DISK_LEAST_GIB * KIB_PER_GIB and not machine.belongs_to(plan)
    yield machine.problem(
        f"{gib(free)} free where k3s keeps its data (/var/lib)",
        f"{DISK_LEAST_GIB} GiB at the least, {wanted} GiB for the images of such a node",
        f'{machine.ssh} "df -h /var/lib; sudo du -xhd1 /var/lib | sort -h | tail", then make room',
        "error" if blocks else "warning",
    )


def firewall(machine: Machine, plan: Plan) -> Iterator[Problem]:
    pods = plan.networks.values()
    ways = {
        "ufw": "sudo ufw allow 6443/tcp; sudo ufw allow 10250/tcp; sudo ufw allow 8472/udp; "
        + "; ".join(f"sudo ufw allow from {net}" for net in pods),
        "firewalld": "sudo firewall-cmd --permanent --add-port={6443/tcp,10250/tcp,8472/udp}; "
        + "; ".join(f"sudo firewall-cmd --permanent --zone=trusted --add-source={net}" for net in pods)
        + "; sudo firewall-cmd --reload",
    }
    for name in machine.facts.all("firewall"):
        yield machine.problem(
            f"{name} is active",
            "6443/tcp, 10250/tcp and 8472/udp open between the nodes, pod and service networks trusted",
            ways.get(name, "open these ports"),
            "warning",
        )


def gib(kib: int) -> str:
    return f"{kib / KIB_PER_GIB:.1f} GiB"


Rule = Callable[[Machine, Plan], Iterator[Problem]]
RULES: dict[str, Rule] = {
    "privileges": privileges,
    "system": system,
    "tools": tools,
    "cgroup": cgroup,
    "owner": owner,
    "version": version,
    "ports": ports,
    "address": address,
    "route": route,
    "dns": names,
    "download": download,
    "cpu": cpu,
    "memory": memory,
    "disk": disk,
    "inodes": inodes,
    "mounts": mounts,
    "swap": swap,
    "modules": modules,
    "kernel-config": kernel_config,
    "security": security,
    "iptables": iptables,
    "nm-cloud-setup": network_manager,
    "time-sync": time_sync,
    "networks": networks,
    "firewall": firewall,
    "gpu": gpus,
    "toolkit": toolkit,
    "runtime": runtime,
    "containerd": containerd,
    "driver": driver,
    "driver-image": driver_image,
    "headers": headers,
    "fabric": fabric,
    "secure-boot": secure_boot,
}


def run_rules(machines: Sequence[Machine], plan: Plan, others: Sequence[Machine] = ()) -> list[Problem]:
    """All rules over all machines that answered; what the stack file waives is marked as such.

    `others` are machines of which only a little is known: those that answered are compared with them, and
    nothing is said about them.
    """
    waived = {machine.name: machine.spec.get("waive", ()) for machine in machines}
    problems = [
        replace(problem, check=check)
        for machine in machines
        for check, rule in RULES.items()
        for problem in rule(machine, plan)
    ]
    problems += [
        replace(problem, check=check)
        for check, rule in CROSS_RULES.items()
        for problem in rule([*machines, *others], plan)
        if problem.where in waived
    ]
    return [
        replace(problem, severity="waived") if problem.check in waived[problem.where] else problem
        for problem in problems
    ]
