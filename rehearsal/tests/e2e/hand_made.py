"""Machines on which k3s is installed by hand, and the stack that takes them over."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import PREFIX, StackFixture, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.toolchain.golang import K3S_VERSION

MIRROR = "file:///opt/standin/release"
WAIVED = "cgroup,modules,swap,time-sync"


class HandMade:
    """Machines with a k3s that was installed by hand, and the stack that takes them over."""

    def __init__(self, fixture: StackFixture, folder: Path) -> None:
        self.fixture, self.folder = fixture, folder
        self.machines: dict[str, RunningMachine] = {}
        self.units: dict[str, str] = {}

    def install(self, name: str, environment: str = "", arguments: str = "") -> None:
        """Runs k3s's install script; the binary lies on the machine, as for an air-gapped install."""
        release = f"/opt/standin/release/{K3S_VERSION}"
        command = f"INSTALL_K3S_SKIP_DOWNLOAD=true {environment} sh {release}/install.sh {arguments}"
        self.on(name, f"cp {release}/k3s /usr/local/bin/k3s && {command} 2>&1")
        self.units[name] = self.on(name, "basename -s .service /etc/systemd/system/k3s*.service")

    def on(self, name: str, command: str) -> str:
        return self.fixture.run_on(self.machines[name], command)

    def adopt(self, stack: str, *arguments: str) -> tuple[int, str]:
        """Types `adopt`: its exit status, and what it prints."""
        state = self.fixture.stack.state
        words = ["adopt", stack, *arguments, "--key", str(state / "id_ed25519"), "--mirror", MIRROR]
        words += ["--known-hosts", str(state / "known_hosts"), "--waive", WAIVED]
        done = subprocess.run(
            [sys.executable, "-m", "k3sgpu", *words],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        print(done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr

    def config(self, stack: str) -> dict[str, Any]:
        """The stack file that `adopt` wrote, for the fixture."""
        written = yaml.safe_load((self.folder / f"Pulumi.{stack}.yaml").read_text())["config"]
        return {key.removeprefix(PREFIX): value for key, value in written.items()}

    def starts(self) -> Mapping[str, str]:
        """What changes when k3s or its machine starts again."""
        boot = "cat /proc/sys/kernel/random/boot_id"
        properties = "--property=InvocationID,ActiveEnterTimestamp,MainPID"
        return {
            name: self.on(name, f"systemctl show {properties} {unit}; {boot}")
            for name, unit in self.units.items()
        }

    def fetch_kubeconfig(self, server: str) -> None:
        """Gives the fixture's kubectl the cluster's kubeconfig."""
        text = self.on(server, "cat /etc/rancher/k3s/k3s.yaml")
        file = self.fixture.stack.kubeconfig
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("127.0.0.1", self.machines[server].address))

    def pods(self, server: str) -> str:
        """All pods with the times of their starts."""
        path = "{range .items[*]}{.metadata.uid} {.spec.nodeName} {.status.startTime}{'\\n'}{end}"
        return self.on(server, f'k3s kubectl get pods -A -o jsonpath="{path}"')


@contextmanager
def hand_made(
    name: str,
    folder: Path,
    servers: Mapping[str, str],
    agents: Mapping[str, str],
    gpu: Mapping[str, Any] | None = None,
) -> Iterator[HandMade]:
    """Empty machines; the agents have the cards `gpu`, as a pool declares them."""
    pools = {
        "servers": {"role": "server", "hosts": dict(servers)},
        "agents": {"role": "agent", "hosts": dict(agents), **({"gpu": gpu} if gpu else {})},
    }
    k3s = {"version": K3S_VERSION, "mirror": MIRROR}
    if len(servers) > 1:
        first = next(iter(servers))
        k3s |= {"initialServer": first, "registrationAddress": servers[first]}
    with stack_fixture(name, folder, {"k3s": k3s, "pools": pools}) as fixture:
        made = HandMade(fixture, folder)
        made.machines = fixture.start_machines()
        yield made


def ready(made: HandMade, server: str, count: int) -> None:
    """Waits for the Nodes."""
    wait_until(f"{count} Nodes", lambda: made.on(server, "k3s kubectl get nodes").count(" Ready ") == count)
