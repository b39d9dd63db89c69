"""`doctor`: its arguments, its input from the graph and from a stack file, its output and exit status."""

import json
import sys
from pathlib import Path

import asyncssh
import pytest

from k3sgpu.cli import doctor as cli
from k3sgpu.cli.main import main
from k3sgpu.cluster import client, readiness
from k3sgpu.doctor import host_check
from k3sgpu.handoff.expected_state import parse_expected_state
from k3sgpu.hosts.facts import Facts
from k3sgpu.hosts.ssh import Login
from k3sgpu.problem import InputError
from k3sgpu.report import Problem, Report
from tests.data.inventories import host_entry, inventory_of

KEY = asyncssh.generate_private_key("ssh-ed25519")
LOCKED = KEY.export_private_key(passphrase="secret").decode()
PRIVATE, PUBLIC = KEY.export_private_key().decode(), KEY.export_public_key().decode().strip()
HOST = host_entry("gpu-1", role="agent", address="10.0.0.21", hostKey=PUBLIC)
INVENTORY = inventory_of(HOST)
EXPECTED = {"drainTimeoutSeconds": 5, "timeoutSeconds": 1, "namespace": "gpu-operator", "nodes": []}
STACK = f"""\
config:
  k3s-gpu-sharing:ssh: {{privateKeyFile: keys/id, knownHostsFile: keys/known_hosts}}
  k3s-gpu-sharing:k3s: {{version: v1.36.2+k3s1, installScriptSha256: {"a" * 64}}}
  k3s-gpu-sharing:pools:
    control: {{role: server, hosts: {{server-1: 10.0.0.11}}}}
    rtx:
      role: agent
      hosts: {{gpu-1: {{address: 10.0.0.21, port: 2222, user: me, hostKey: "{PUBLIC}"}}}}
      gpu: {{product: Tesla-T4, count: 2, memoryMiB: 15360, profile: slices}}
  k3s-gpu-sharing:sharing:
    profiles:
      slices:
        timeSlicing: {{renameByDefault: true, resources: [{{name: nvidia.com/gpu, replicas: 4}}]}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/id").write_text(PRIVATE)
    (tmp_path / "keys/id").chmod(0o600)
    (tmp_path / "keys/known_hosts").write_text(f"10.0.0.11 {PUBLIC}\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- the report

ERROR = Problem("b", "none", "some", "rm this\nrm that", check="disk")
WARNING = Problem("a", "little", "more", "buy some", "warning", check="memory")


# ---- input from a stack file


def test_expected_state_from_a_stack_file(project):
    data = cli._expected_state("Pulumi.dev.yaml")
    assert parse_expected_state(json.loads(json.dumps(data))) == data
    gpu, server = data["nodes"]
    assert gpu["resources"] == {"nvidia.com/gpu.shared": 8, "nvidia.com/gpu": 0}
    assert gpu["labels"]["nvidia.com/gpu.replicas"] == "4"
    assert gpu["labels"]["nvidia.com/gpu.product"] == "Tesla-T4"
    assert gpu["labels"]["nvidia.com/device-plugin.config"].startswith("slices-")
    assert "nvidia.com/gpu.memory" not in gpu["labels"]
    assert server == {"name": "server-1", "resources": {}, "labels": {}}
    assert (data["timeoutSeconds"], data["namespace"]) == (900, "gpu-operator")


# ---- the command line


class Typed:
    """A standard input with something in it, which is no terminal."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self) -> str:
        return self.text

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ("hosts --from-graph", {}, "K3SGPU_INVENTORY is not set"),
        ("cluster --from-graph", {}, "K3SGPU_EXPECTED_STATE is not set"),
        ("hosts --from-graph", {"K3SGPU_INVENTORY": "{"}, "K3SGPU_INVENTORY holds no JSON"),
        ("hosts --from-graph", {"K3SGPU_INVENTORY": "[]"}, "the inventory: found []"),
        ("hosts --from-graph", {"K3SGPU_INVENTORY": "{}"}, "the inventory: owner: found nothing"),
        ("hosts --from-graph", {"K3SGPU_INVENTORY": json.dumps({**INVENTORY, "hosts": []})}, "names no host"),
        (
            "hosts --from-graph",
            {"K3SGPU_INVENTORY": json.dumps({**INVENTORY, "hosts": [{**HOST, "port": "22"}]})},
            "the inventory: hosts.0.port: found '22'; expected a valid integer",
        ),
        (
            "hosts --from-graph",
            {"K3SGPU_INVENTORY": json.dumps({**INVENTORY, "hosts": [{**HOST, "hostKey": "ssh-dss x"}]})},
            "stdin holds no secret sshPrivateKey",
        ),
        (
            "cluster --from-graph",
            {"K3SGPU_EXPECTED_STATE": '{"nodes": 1}'},
            "the expected state: timeoutSeconds: found nothing",
        ),
        (
            "cluster --from-graph",
            {"K3SGPU_EXPECTED_STATE": json.dumps(EXPECTED)},
            "from the standard input is empty",
        ),
        ("hosts --file stack.yaml", {}, "stack.yaml is not called Pulumi.<stack>.yaml"),
        ("hosts --file Pulumi.none.yaml", {}, "Pulumi.none.yaml"),
        ("cluster --file Pulumi.dev.yaml", {}, "--file needs --kubeconfig FILE"),
        ("cluster --file Pulumi.none.yaml --kubeconfig k", {}, "Pulumi.none.yaml"),
        ("cluster --file Pulumi.dev.yaml --kubeconfig nowhere", {}, "nowhere cannot be read: No such file"),
    ],
)
def test_input_that_cannot_be_used_is_status_2(
    project, monkeypatch, capsys, arguments, environment, expected
):
    monkeypatch.setattr(sys, "stdin", Typed(""))
    for name in ("K3SGPU_INVENTORY", "K3SGPU_EXPECTED_STATE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert main(["doctor", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("doctor: ")
    assert expected in printed.err
    assert "Traceback" not in printed.err


def test_invalid_host_key_is_status_2(monkeypatch, capsys):
    monkeypatch.setenv(
        "K3SGPU_INVENTORY", json.dumps({**INVENTORY, "hosts": [{**HOST, "hostKey": "ssh-dss x"}]})
    )
    monkeypatch.setattr(sys, "stdin", Typed(json.dumps({"sshPrivateKey": PRIVATE})))
    assert main(["doctor", "hosts", "--from-graph"]) == 2
    assert "host gpu-1: host key 'ssh-dss x' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["", "hosts", "hosts --file a --from-graph", "machines --file a"])
def test_wrong_arguments_are_status_2(arguments):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments.split()])
    assert ended.value.code == 2


@pytest.mark.parametrize(("findings", "code"), [([], 0), ([WARNING], 0), ([ERROR], 1)])
def test_preflight_reports_on_stderr_and_prints_its_cache_on_stdout(monkeypatch, capsys, findings, code):
    received = {}

    def check_hosts(inventory, logins, known):
        received.update(inventory=inventory, logins=logins)
        return Report("doctor hosts", {"gpu-1": "x"}, findings), {"gpu-1": Facts({"machine-id": ("1",)})}

    monkeypatch.setattr(host_check, "check_hosts", check_hosts)
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(INVENTORY))
    monkeypatch.setattr(sys, "stdin", Typed(json.dumps({"sshPrivateKey": PRIVATE})))
    assert main(["doctor", "hosts", "--from-graph"]) == code
    printed = capsys.readouterr()
    assert "doctor hosts: " in printed.err
    assert [*(json.loads(printed.out) if code == 0 else printed.out)] == (["gpu-1"] if code == 0 else [])
    assert PRIVATE.splitlines()[1] not in printed.out + printed.err
    assert received == {"inventory": INVENTORY, "logins": {"gpu-1": Login(KEY)}}


def test_stdin_is_not_read_without_secrets(project, monkeypatch, capsys):
    class Silent(Typed):
        def read(self) -> str:
            raise AssertionError("read from a standard input that may never end")

    monkeypatch.setattr(
        host_check, "check_hosts", lambda inventory, logins, known: (Report("doctor hosts", {}, [ERROR]), {})
    )
    monkeypatch.setattr(sys, "stdin", Silent(""))
    assert main(["doctor", "hosts", "--file", "Pulumi.dev.yaml", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["errors"] == 1


@pytest.mark.parametrize("look", [["hosts"], ["cluster", "--kubeconfig", "kubeconfig"]])
@pytest.mark.parametrize(("findings", "code"), [([], 0), ([WARNING], 0), ([WARNING, ERROR], 1), (None, 2)])
def test_hosts_and_cluster_have_the_same_output_and_status(
    project, monkeypatch, capsys, look, findings, code
):
    """One form and one meaning of the exit status, so that a script can ask both."""

    def report():
        if findings is None:
            raise InputError("nobody can be asked")
        return Report("t", {"a": "x"}, findings)

    (project / "kubeconfig").write_text("{}")
    monkeypatch.setattr(client, "parse_kubeconfig", lambda text, where: None)
    monkeypatch.setattr(host_check, "check_hosts", lambda inventory, logins, known: (report(), {}))
    monkeypatch.setattr(readiness, "check_once", lambda data, access: report())
    assert main(["doctor", *look, "--file", "Pulumi.dev.yaml", "--json"]) == code
    printed = capsys.readouterr()
    if findings is None:
        (problem,) = json.loads(printed.out)["problems"]
        assert (problem["found"], printed.err) == ("nobody can be asked", "")
    else:
        data = json.loads(printed.out)
        assert (data["ok"], data["errors"], len(data["problems"])) == (code == 0, code, len(findings))


def test_missing_ssh_agent_is_reported(monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps({**INVENTORY, "agent": True}))
    monkeypatch.setattr(sys, "stdin", Typed("{}"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert main(["doctor", "hosts", "--from-graph"]) == 2
    assert "ssh.agent is true, and SSH_AUTH_SOCK names no SSH agent" in capsys.readouterr().err


def test_ssh_agent_that_does_not_answer_is_reported(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(INVENTORY))
    monkeypatch.setattr(sys, "stdin", Typed("{}"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent.1"))
    assert main(["doctor", "hosts", "--from-graph"]) == 2
    printed = capsys.readouterr().err
    assert str(tmp_path / "agent.1") in printed and "env -u SSH_AUTH_SOCK pulumi up" in printed
