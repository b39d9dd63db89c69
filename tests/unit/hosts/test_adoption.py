"""A k3s that was installed by hand is taken over: staged, then converged, on a simulated machine."""

import shlex
import subprocess
from pathlib import Path

import pytest

from k3sgpu.adoption.comparison import PlannedK3s, permission
from k3sgpu.adoption.machine_k3s import FoundK3s
from k3sgpu.hosts import scripts
from tests.unit.hosts.machines import VERSION, Machine
from tests.unit.hosts.shells import SHELLS
from tests.unit.hosts.test_staging import clean, done, failure, plan_of

UNIT = """\
[Service]
EnvironmentFile=-/etc/default/%N
ExecStart=/usr/local/bin/k3s \\
    {role} \\
\t'--node-label' \\
\t'zone=a' \\

Restart=always
"""
CONFIG = "node-label:\n- zone=a\nserver: https://10.0.0.11:6443\n"
PLAN = PlannedK3s(CONFIG, "", "", "", "")
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >>{log}
case $1 in show) echo 1 ;; is-active) echo active ;; esac
"""


@pytest.fixture(params=SHELLS)
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    """A machine with a hand-made agent."""
    machine = Machine(tmp_path / "machine", shell=request.param)
    machine.install(VERSION)
    file(machine, "etc/systemd/system/k3s-agent.service", UNIT.format(role="agent"))
    file(machine, "etc/systemd/system/k3s-agent.service.env", "K3S_TOKEN=hidden\n")
    file(machine, "usr/local/bin/systemctl", SYSTEMCTL.format(log=tmp_path / "systemctl")).chmod(0o755)
    return machine


def file(machine: Machine, path: str, text: str = "") -> Path:
    """A file of the machine, written where there is a `text`."""
    one = machine.folder / path
    one.parent.mkdir(parents=True, exist_ok=True)
    if text:
        one.write_text(text)
    return one


def permit(machine: Machine) -> str:
    """The permission for the k3s as it is."""
    script = f"root=''\n{scripts.source('parts/k3s_files')}k3s_files_hash"
    said = subprocess.run(["sh", "-c", machine.with_own_paths(script)], capture_output=True, text=True)
    found = FoundK3s("x", "agent", VERSION, "gpu-1", "", said.stdout.strip(), "")
    return permission(found, PLAN)


def converge(machine: Machine, call: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs functions of converge.sh there."""
    values = {"HOST": "gpu-1", "ROLE": "agent", "VERSION": VERSION, "CONFIG": CONFIG, "DATABASE": "",
              "EXTERNAL_DATABASE": "", "SERVERS": "", "TIMEOUT": "5", **variables}  # fmt: skip
    header = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    functions = scripts.source("converge").split("\nread_secrets\n")[0]
    return subprocess.run(
        [*machine.shell.split(), "-euc", header + machine.with_own_paths(f"{functions}\n{call}")],
        input="--\n", capture_output=True, text=True, timeout=60,
        env={"PATH": f"{machine.folder}/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip


TAKE_OVER = (
    "read_secrets; agent_token=K10::node:t; action=; take_over; configure; node_is_deleted() { false; }\n"
    "start_k3s; finish_adoption; echo $action"
)


def staged(machine: Machine, folder: Path) -> None:
    assert "is installed" in done(
        machine, plan_of(folder, **{"pools/rtx/hosts/gpu-1/adopt": permit(machine)})
    )


def test_permitted_k3s_is_claimed_and_its_files_are_kept(tmp_path: Path, machine: Machine):
    unit = file(machine, "etc/systemd/system/k3s-agent.service").read_text()
    staged(machine, tmp_path)
    kept = file(
        machine, f"etc/k3s-gpu-sharing/adopted/files{machine.folder}/etc/systemd/system/k3s-agent.service"
    )
    assert kept.read_text() == unit == file(machine, "etc/systemd/system/k3s-agent.service").read_text()
    assert file(machine, "etc/k3s-gpu-sharing/adopted").stat().st_mode & 0o777 == 0o700
    assert "host=gpu-1" in file(machine, "etc/k3s-gpu-sharing/owner").read_text()
    assert not file(machine, "etc/k3s-gpu-sharing/sysctl-before").exists()
    staged(machine, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("etc/rancher/k3s/config.yaml", "debug: true\n"), "has changed since adopt read it"),
        (
            ("usr/local/bin/k3s", "#!/bin/sh\necho k3s version v1.35.1+k3s1\n"),
            "v1.35.1+k3s1, and the stack file",
        ),
    ],
    ids=["files", "release"],
)
def test_changed_k3s_is_not_claimed(tmp_path: Path, machine: Machine, change: tuple[str, str], words: str):
    plan = plan_of(tmp_path, **{"pools/rtx/hosts/gpu-1/adopt": permit(machine)})
    file(machine, *change)
    message = failure(machine, plan)
    assert words in message and "nothing was changed" in message
    assert not file(machine, "etc/k3s-gpu-sharing/owner").exists() and not machine.lib.exists()


def test_k3s_without_permission_is_refused(tmp_path: Path, machine: Machine):
    assert "python -m k3sgpu adopt" in failure(machine, plan_of(tmp_path))


def test_k3s_that_was_only_staged_is_given_back_untouched(tmp_path: Path, machine: Machine):
    staged(machine, tmp_path)
    script = file(machine, "usr/local/lib/k3s-gpu-sharing/clean")
    script.write_text(machine.with_own_paths(script.read_text()))
    outcome = clean(machine, plan_of(tmp_path))
    assert outcome.done == {"gpu-1": "clean"}
    assert file(machine, "usr/local/bin/k3s").exists()
    assert "zone=a" in file(machine, "etc/systemd/system/k3s-agent.service").read_text()
    assert not file(machine, "etc/k3s-gpu-sharing").exists()


def test_takeover_replaces_files_and_restarts_nothing(tmp_path: Path, machine: Machine):
    staged(machine, tmp_path)
    drop_in = file(machine, "etc/rancher/k3s/config.yaml.d/1.yaml")
    ran = converge(machine, TAKE_OVER)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == f"took over k3s {VERSION} without a restart"
    unit = file(machine, "etc/systemd/system/k3s-agent.service").read_text()
    assert unit == (
        "[Service]\nEnvironmentFile=-/etc/default/%N\n"
        f"ExecStart={machine.folder}/usr/local/bin/k3s agent\nRestart=always\n"
    )
    assert file(machine, "etc/systemd/system/k3s-agent.service.env").read_text() == ""
    assert file(machine, "etc/rancher/k3s/config.yaml").read_text() == CONFIG
    assert file(machine, "etc/rancher/k3s/agent-token").read_text() == "K10::node:t\n"
    assert not drop_in.exists()
    calls = (tmp_path / "systemctl").read_text().split("\n")
    assert "daemon-reload" in calls and not [
        call for call in calls if call.startswith(("restart", "start", "stop"))
    ]

    again = converge(machine, TAKE_OVER.replace("take_over;", "find_installed; ! adoption_is_pending;"))
    assert (again.returncode, again.stdout.strip()) == (0, ""), again.stderr


def test_server_goes_on_with_the_token_of_its_agents(tmp_path: Path, machine: Machine):
    staged(machine, tmp_path)
    file(machine, "etc/systemd/system/k3s.service", UNIT.format(role="server"))
    kept = file(machine, f"etc/k3s-gpu-sharing/adopted/files{machine.folder}/etc/systemd/system/k3s.service")
    kept.write_text(UNIT.format(role="server"))
    file(machine, "etc/k3s-gpu-sharing/adopted/begun", "x")
    file(machine, "var/lib/rancher/k3s/server/node-token", "K10ab::server:se:cret\n")
    ran = converge(machine, "read_secrets; take_over", ROLE="server")
    assert ran.returncode == 0, ran.stderr
    assert file(machine, "etc/rancher/k3s/agent-token").read_text() == "se:cret"


def test_other_configuration_than_the_compared_one_is_refused(tmp_path: Path, machine: Machine):
    staged(machine, tmp_path)
    ran = converge(machine, TAKE_OVER, CONFIG=CONFIG.replace("zone=a", "zone=b"))
    assert ran.returncode == 0, "labels are read only when a Node registers"
    file(machine, "etc/k3s-gpu-sharing/adopted/done").unlink()
    ran = converge(machine, TAKE_OVER, CONFIG=f"{CONFIG}debug: true\n")
    assert (
        ran.returncode == 1 and "another configuration of k3s than the one that adopt compared" in ran.stderr
    )
