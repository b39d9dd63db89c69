"""`new` on bare machines: one, the article's two, and a mixed set of eight; on a terminal and without one."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from k3sgpu.settings import read_stack_file
from rehearsal.lab import machines, ssh
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import PREFIX, StackFixture, stack_fixture
from rehearsal.lab.gpus import Gpus
from rehearsal.lab.machine_records import Machine, RunningMachine
from rehearsal.progress import Progress

PASSWORD = "open sesame $HOME"
ADDRESSES = {
    name: f"10.77.1.{last}"
    for last, name in enumerate(("head", "spare", "rtx-1", "rtx-2", "t4-1", "a100-1", "bare-1", "ops-1"), 11)
}
RTX, T4 = ("NVIDIA-GeForce-RTX-2080-Ti", 11264), ("Tesla-T4", 15360)
CARDS = {
    "rtx-1": Gpus(RTX[0], 1, RTX[1]),
    "rtx-2": Gpus(RTX[0], 1, RTX[1]),
    "t4-1": Gpus(T4[0], 2, T4[1]),
    "a100-1": Gpus("NVIDIA-A100-SXM4-40GB", 1, 40960, mig={"1g.5gb": 7}),
    "bare-1": Gpus(RTX[0], 1, RTX[1], driver=None, toolkit=False),
    "ops-1": Gpus(T4[0], 1, T4[1]),
}
# The rehearsal's machines share this computer's kernel and clock; the release lies on them.
OPTIONS = ("--mirror", "file:///opt/standin/release", "--waive", "cgroup,modules,swap,time-sync")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    with stack_fixture("new", tmp_path_factory.mktemp("new"), {}) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def bare(lab: StackFixture) -> dict[str, RunningMachine]:
    """The machines. On ops-1 root may not log in, and the user `ops` may use sudo with a password."""
    wanted = [Machine(name, address, CARDS.get(name)) for name, address in ADDRESSES.items()]
    owner = lab.stack.owner
    booted = machines.up(lab.stack.name, wanted, lab.stack.state, lab.tools, Progress(), owner=owner)
    make = (
        "useradd --create-home --groups sudo --shell /bin/sh ops && chpasswd && "
        "install -d -o ops -m 700 /home/ops/.ssh && "
        "install -o ops -m 600 /root/.ssh/authorized_keys /home/ops/.ssh/authorized_keys"
    )
    ssh.run(booted["ops-1"], make, stdin=f"ops:{PASSWORD}\n")
    return booted


@pytest.fixture
def folder(lab: StackFixture, tmp_path: Path) -> Path:
    """A working directory that is the home as well: its known_hosts knows no machine."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519").write_bytes((lab.stack.state / "id_ed25519").read_bytes())
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "k3sgpu", *arguments]


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    return {**kept, "HOME": str(folder), "PYTHONPATH": str(ROOT)}


def new(
    folder: Path, *arguments: str, stdin: str = "", status: int = 0, options: Sequence[str] = OPTIONS
) -> str:
    """Runs `new lab` without a terminal, and returns what it printed on both streams."""
    done = subprocess.run(
        command("new", "lab", *arguments, *options),
        cwd=folder, env=environment(folder), input=stdin, timeout=120, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == status
    return done.stdout


def fit(folder: Path) -> str:
    """What `fit` says about the file; it must be accepted."""
    words = command("fit", "--file", "Pulumi.lab.yaml")
    return subprocess.run(
        words, cwd=folder, env=environment(folder), timeout=60, text=True, check=True, stdout=subprocess.PIPE
    ).stdout


def on_terminal(folder: Path, arguments: Sequence[str], answers: dict[str, str]) -> str:
    """Runs `new lab` on a terminal, answers its questions, and returns what the terminal shows."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        words = command("new", "lab", *arguments, *OPTIONS)
        os.execve(words[0], words, environment(folder))
    shown, open_questions = "", dict(answers)
    while True:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the other side has closed
            break
        for question, answer in list(open_questions.items()):
            if question in shown:
                os.write(terminal, f"{answer}\n".encode())
                del open_questions[question]
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    print(shown)
    assert (os.waitstatus_to_exitcode(status), open_questions) == (0, {})
    return shown


def test_one_machine(folder: Path) -> None:
    said = new(folder, ADDRESSES["rtx-1"], "--accept-host-keys")
    assert "0 of 6 slices taken" in said and "pulumi stack init lab" in said
    (node,) = read_stack_file(folder / "Pulumi.lab.yaml").nodes
    assert (node.name, node.role) == ("rtx-1", "server")
    assert "0 of 6 slices taken" in fit(folder)


def test_a_mixed_set_of_eight(folder: Path) -> None:
    hosts = [f"{'ops@' if name == 'ops-1' else ''}{address}" for name, address in ADDRESSES.items()]
    said = new(folder, *hosts, "--accept-host-keys", "--sudo-password-file", "-", stdin=f"{PASSWORD}\n")
    assert PASSWORD not in said and "pulumi config set --secret sudoPassword --stack lab" in said
    settings = read_stack_file(folder / "Pulumi.lab.yaml", {"sudoPassword"})
    pools = {name: (pool.role, sorted(pool.hosts)) for name, pool in settings.pools.items()}
    assert pools == {
        "control": ("server", ["head"]),
        "cpu": ("agent", ["spare"]),
        "rtx-2080-ti": ("agent", ["bare-1", "rtx-1", "rtx-2"]),
        "t4-x2": ("agent", ["t4-1"]),
        "t4-x1": ("agent", ["ops-1"]),
        "a100-sxm4-40gb-mig": ("agent", ["a100-1"]),
    }
    assert (settings.gpu_operator.driver, settings.gpu_operator.toolkit) == ("operator", "operator")
    assert {node.name: node.gpu.mig for node in settings.nodes if node.gpu}["a100-1"] == {"1g.5gb": 7}
    assert "slices taken" in fit(folder)


def test_questions_on_a_terminal(folder: Path) -> None:
    answers = {"Are these the keys of your machines?": "yes", "Password of sudo": PASSWORD}
    hosts = (ADDRESSES["head"], f"ops@{ADDRESSES['ops-1']}")
    shown = on_terminal(folder, hosts, answers)
    assert f"{ADDRESSES['head']}  ed25519  SHA256:" in shown
    assert "0 of 8 slices taken" in shown and PASSWORD not in shown
    assert len(read_stack_file(folder / "Pulumi.lab.yaml", {"sudoPassword"}).nodes) == 2


def test_machines_that_cannot_be_used_are_listed_at_once(
    folder: Path, bare: dict[str, RunningMachine]
) -> None:
    other = f"{folder}/other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True, timeout=20)
    wrong = Path(f"{other}.pub").read_text().split()
    (folder / ".ssh/known_hosts").write_text(f"{ADDRESSES['spare']} {wrong[0]} {wrong[1]}\n")
    hosts = (ADDRESSES["head"], ADDRESSES["spare"], f"nobody@{ADDRESSES['rtx-1']}", "10.77.1.99")
    said = new(folder, *hosts, "--accept-host-keys", status=1)
    for words in (
        f"{ADDRESSES['spare']}\n  error: host-key",
        f"{ADDRESSES['rtx-1']}\n  error: login",
        "10.77.1.99\n  error: connection",
        "Pulumi.lab.yaml is not written",
    ):
        assert words in said
    assert list(folder.glob("Pulumi*")) == []


def use(lab: StackFixture, folder: Path) -> None:
    """Makes the file that `new` has written the one of the next `up`, with the rehearsal's chart."""
    config: dict[str, Any] = yaml.safe_load((folder / "Pulumi.lab.yaml").read_text())["config"]
    lab.config.update({key.removeprefix(PREFIX): value for key, value in config.items()})
    access = {"privateKeyFile": ".ssh/id_ed25519", "knownHostsFile": "Pulumi.lab.known_hosts"}
    lab.config["ssh"].update({key: str(folder / file) for key, file in access.items()})
    lab.config["gpuOperator"]["chart"] = "./rehearsal/simulators/chart"


def test_the_articles_two_come_up_and_a_third_is_added(lab: StackFixture, folder: Path) -> None:
    new(folder, ADDRESSES["head"], ADDRESSES["rtx-1"], "--accept-host-keys")
    use(lab, folder)
    lab.stack.install_plugins(lab.tools, Progress())
    lab.up()
    assert lab.get("node", "rtx-1")["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(lab.up()) == {"same"}
    said = new(folder, ADDRESSES["rtx-2"], "--add", "--accept-host-keys", options=())
    assert "0 of 12 slices taken" in said
    use(lab, folder)
    assert "delete" not in lab.up()
    assert lab.get("node", "rtx-2")["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    lab.destroy()
