"""What doctor takes and says: the command line, the report, and what it is told by a stack file."""

import json
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from k3sgpu.cli import doctor as cli
from k3sgpu.cli.main import main
from k3sgpu.cluster import client, readiness
from k3sgpu.doctor import host_check
from k3sgpu.handoff.expected_state import parse_expected_state
from k3sgpu.handoff.inventory import parse_inventory
from k3sgpu.hosts.facts import Facts
from k3sgpu.hosts.logins import Secrets, logins_for, read_secrets
from k3sgpu.hosts.ssh import Login
from k3sgpu.problem import InputError
from k3sgpu.report import Problem, Report, as_json, as_text

KEY = asyncssh.generate_private_key("ssh-ed25519")
LOCKED = KEY.export_private_key(passphrase="secret").decode()
PRIVATE, PUBLIC = KEY.export_private_key().decode(), KEY.export_public_key().decode().strip()
HOST = {
    "name": "gpu-1", "role": "agent", "address": "10.0.0.21", "port": 22, "user": "root", "hostKey": PUBLIC,
    "knownHostsFile": None, "privateKeyFile": None, "sudoPassword": False,
    "gpu": {"count": 1, "product": "Tesla-T4"},
}  # fmt: skip
INVENTORY = {
    "owner": {"project": "k3s-gpu-sharing", "stack": "dev"}, "k3sVersion": "v1.36.2+k3s1",
    "mirror": "https://example.org", "driver": "host", "toolkit": "host", "hosts": [HOST],
}  # fmt: skip
EXPECTED = {"drainTimeoutSeconds": 5, "timeoutSeconds": 1, "namespace": "gpu-operator", "nodes": []}
STACK = f"""\
config:
  k3s-gpu-sharing:ssh: {{privateKeyFile: keys/id, knownHostsFile: keys/known_hosts}}
  k3s-gpu-sharing:k3s: {{version: v1.36.2+k3s1, installScriptSha256: {"0" * 64}}}
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


def test_errors_come_first_and_the_rest_is_one_line_each():
    report = Report("doctor hosts", {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}, [WARNING, ERROR])
    assert as_text(report) == (
        "doctor hosts: 1 error, 1 warning\n"
        "\n"
        "b  10.0.0.2\n"
        "  error: disk\n"
        "    found:    none\n"
        "    expected: some\n"
        "    remedy:   rm this\n"
        "              rm that\n"
        "\n"
        "a  10.0.0.1\n"
        "  warning: memory\n"
        "    found:    little\n"
        "    expected: more\n"
        "    remedy:   buy some\n"
        "\n"
        "ok  c  10.0.0.3"
    )
    assert report.exit_code == 1


def test_errors_of_one_machine_come_before_its_warnings():
    text = as_text(Report("t", {"b": ""}, [Problem("b", "", "", "", "warning", check="x"), ERROR]))
    assert text.index("error: disk") < text.index("warning: x")


def test_many_machines_in_order_share_a_line():
    report = Report("t", {f"gpu-{number}": "" for number in range(100)}, [])
    assert as_text(report) == "t: all in order\nin order: 100 (gpu-0 … gpu-99)"


def test_warnings_alone_are_no_failure():
    assert Report("t", {}, [WARNING]).exit_code == 0


def test_json_is_flat():
    told = json.loads(json.dumps(as_json(Report("t", {"b": "x"}, [ERROR], ["a note"]))))
    assert told == {
        "title": "t", "ok": False, "errors": 1, "warnings": 0, "waived": 0,
        "subjects": {"b": "x"}, "notes": ["a note"],
        "problems": [
            {"where": "b", "check": "disk", "severity": "error", "found": "none", "expected": "some",
             "remedy": "rm this\nrm that"}
        ],
    }  # fmt: skip


# ---- what it is told


def test_an_inventory_from_a_stack_file(project):
    told = cli._inventory("Pulumi.dev.yaml")
    assert parse_inventory(json.loads(json.dumps(told))) == told
    gpu, server = told["hosts"]
    assert told["owner"] == {"project": "k3s-gpu-sharing", "stack": "dev"}
    assert (told["k3sVersion"], told["driver"], told["toolkit"]) == ("v1.36.2+k3s1", "host", "host")
    assert (gpu["name"], gpu["port"], gpu["user"], gpu["role"]) == ("gpu-1", 2222, "me", "agent")
    assert gpu["gpu"] == {"count": 2, "product": "Tesla-T4"}
    assert (gpu["knownHostsFile"], server["knownHostsFile"]) == (None, "keys/known_hosts")
    assert gpu["hostKey"].split()[:2] == server["hostKey"].split()[:2] == PUBLIC.split()[:2]
    assert server["gpu"] is None
    assert told["networks"] == {"clusterCidr": "10.42.0.0/16", "serviceCidr": "10.43.0.0/16"}
    assert (gpu["nodeIp"], gpu["jump"], told["bastion"], told["agent"]) == ("10.0.0.21", None, None, False)
    assert not gpu["sudoPassword"]  # the stack has none
    assert PRIVATE not in json.dumps(told)
    assert told["downloads"] == [
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s",
        "https://raw.githubusercontent.com/k3s-io/k3s/v1.36.2+k3s1/install.sh",
    ]
    assert (told["registration"], told["flannel"], told["embeddedRegistry"]) == ("10.0.0.11", "vxlan", False)


def test_a_declared_driver_is_told(project):
    text = STACK.replace("product: Tesla-T4", 'product: Tesla-T4, driverVersion: "580"')
    (project / "Pulumi.dev.yaml").write_text(text)
    gpu, _ = cli._inventory("Pulumi.dev.yaml")["hosts"]
    assert gpu["gpu"]["driver"] == "580"


def test_a_stack_without_a_way_out_asks_for_none(project):
    text = STACK.replace(f"installScriptSha256: {'0' * 64}", 'mirror: "file:///srv/k3s"')
    (project / "Pulumi.dev.yaml").write_text(text)
    assert cli._inventory("Pulumi.dev.yaml")["downloads"] == []


def test_expected_state_from_a_stack_file(project):
    told = cli._expected_state("Pulumi.dev.yaml")
    assert parse_expected_state(json.loads(json.dumps(told))) == told
    gpu, server = told["nodes"]
    assert gpu["resources"] == {"nvidia.com/gpu.shared": 8, "nvidia.com/gpu": 0}
    assert gpu["labels"]["nvidia.com/gpu.replicas"] == "4"
    assert gpu["labels"]["nvidia.com/gpu.product"] == "Tesla-T4"
    assert gpu["labels"]["nvidia.com/device-plugin.config"].startswith("slices-")
    assert "nvidia.com/gpu.memory" not in gpu["labels"]
    assert server == {"name": "server-1", "resources": {}, "labels": {}}
    assert (told["timeoutSeconds"], told["namespace"]) == (900, "gpu-operator")


def test_the_program_does_not_pay_for_the_libraries():
    modules = "k3sgpu.handoff.inventory, k3sgpu.handoff.expected_state"
    code = f"import sys, {modules}; print(*{{'asyncssh', 'lightkube'}} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_logins(tmp_path):
    file = tmp_path / "id"
    other = asyncssh.generate_private_key("ssh-ed25519")
    file.write_bytes(other.export_private_key())
    told = {
        "hosts": [
            HOST,
            {**HOST, "name": "gpu-2", "privateKeyFile": str(file)},
            {**HOST, "name": "gpu-3", "sudoPassword": True},
        ]
    }
    logins = logins_for(told, Secrets(PRIVATE, "", "sesame"))
    assert logins == {"gpu-1": Login(KEY), "gpu-2": Login(other), "gpu-3": Login(KEY, "sesame")}
    assert "sesame" not in repr(logins)


def test_a_key_with_a_passphrase_is_opened_with_it():
    assert logins_for({"hosts": [HOST]}, Secrets(LOCKED, "secret")) == {"gpu-1": Login(KEY)}


def test_the_keys_of_an_agent_serve_hosts_without_a_file(tmp_path):
    (tmp_path / "id").write_text(PRIVATE)
    hosts = [HOST, {**HOST, "name": "gpu-2", "privateKeyFile": str(tmp_path / "id")}]
    told = {"hosts": hosts, "agent": True, "bastion": {**HOST, "name": "the bastion"}}
    agent = Login(None, agent="/run/agent")
    assert logins_for(told, Secrets(), "/run/agent") == {
        "gpu-1": agent, "gpu-2": Login(KEY), "the bastion": agent
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "host", "expected"),
    [
        ({}, {}, "host gpu-1 has no ssh.privateKeyFile, and no secret sshPrivateKey came"),
        ({}, {"privateKeyFile": "/nowhere/id"}, "/nowhere/id cannot be read: No such file"),
        ({"private_key": "not a key"}, {}, "the SSH key from the secret sshPrivateKey cannot be read"),
        ({"private_key": PRIVATE}, {"sudoPassword": True}, "gpu-1 needs the secret sudoPassword, and it did"),
        (
            {"private_key": LOCKED},
            {},
            "the secret sshPrivateKey is protected by a passphrase, and no secret sshPrivateKeyPassphrase",
        ),
        (
            {"private_key": LOCKED, "passphrase": "wrong"},
            {},
            "sshPrivateKeyPassphrase does not open the SSH key from the secret sshPrivateKey",
        ),
        (
            {"private_key": KEY.export_private_key("pkcs8-pem", passphrase="secret").decode()},
            {},
            "encrypted as PKCS #8",
        ),
    ],
)
def test_logins_that_cannot_be(given, host, expected):
    with pytest.raises(InputError, match=expected):
        logins_for({"hosts": [{**HOST, **host}]}, Secrets(**given))


@pytest.mark.parametrize(
    "data",
    [
        {"sshPrivateKey": "a key", "sudoPassword": "sesame"},
        # as `pulumi config --show-secrets --json` prints them
        {
            "k3s-gpu-sharing:sshPrivateKey": {"value": "a key", "secret": True},
            "k3s-gpu-sharing:sudoPassword": {"value": "sesame", "secret": True},
            "k3s-gpu-sharing:ssh": {
                "value": '{"user": "me"}',
                "objectValue": {"user": "me"},
                "secret": False,
            },
        },
    ],
)
def test_secrets_come_as_json(data):
    assert read_secrets(json.dumps(data)) == Secrets("a key", "", "sesame")


@pytest.mark.parametrize("text", ["sesame", "[]", PRIVATE])
def test_secrets_in_another_form_are_refused_and_not_shown(text):
    with pytest.raises(InputError, match="pulumi config --show-secrets --json") as refusal:
        read_secrets(text)
    assert text not in str(refusal.value)


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
        ("hosts --from-graph", {"K3SGPU_INVENTORY": "[]"}, "the inventory is list"),
        ("hosts --from-graph", {"K3SGPU_INVENTORY": "{}"}, "the inventory: owner is None; expected: dict"),
        ("hosts --from-graph", {"K3SGPU_INVENTORY": json.dumps({**INVENTORY, "hosts": []})}, "names no host"),
        (
            "hosts --from-graph",
            {"K3SGPU_INVENTORY": json.dumps({**INVENTORY, "hosts": [{**HOST, "port": "22"}]})},
            "a host of the inventory: port is '22'; expected: int",
        ),
        (
            "hosts --from-graph",
            {"K3SGPU_INVENTORY": json.dumps({**INVENTORY, "hosts": [{**HOST, "hostKey": "ssh-dss x"}]})},
            "no secret sshPrivateKey came on the standard input",
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
def test_mistakes_are_told_and_end_with_2(project, monkeypatch, capsys, arguments, environment, expected):
    monkeypatch.setattr(sys, "stdin", Typed(""))
    for name in ("K3SGPU_INVENTORY", "K3SGPU_EXPECTED_STATE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert main(["doctor", *arguments.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("doctor: ")
    assert expected in said.err
    assert "Traceback" not in said.err


def test_a_host_key_that_is_none(monkeypatch, capsys):
    monkeypatch.setenv(
        "K3SGPU_INVENTORY", json.dumps({**INVENTORY, "hosts": [{**HOST, "hostKey": "ssh-dss x"}]})
    )
    monkeypatch.setattr(sys, "stdin", Typed(json.dumps({"sshPrivateKey": PRIVATE})))
    assert main(["doctor", "hosts", "--from-graph"]) == 2
    assert "host gpu-1: host key 'ssh-dss x' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["", "hosts", "hosts --file a --from-graph", "machines --file a"])
def test_usage(arguments):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments.split()])
    assert ended.value.code == 2


@pytest.mark.parametrize(("findings", "code"), [([], 0), ([WARNING], 0), ([ERROR], 1)])
def test_the_graph_gets_the_report_on_stderr_and_what_the_next_look_needs_on_stdout(
    monkeypatch, capsys, findings, code
):
    given = {}

    def look(told, logins, known):
        given.update(told=told, logins=logins)
        return Report("doctor hosts", {"gpu-1": "x"}, findings), {"gpu-1": Facts({"machine-id": ("1",)})}

    monkeypatch.setattr(host_check, "check_hosts", look)
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(INVENTORY))
    monkeypatch.setattr(sys, "stdin", Typed(json.dumps({"sshPrivateKey": PRIVATE})))
    assert main(["doctor", "hosts", "--from-graph"]) == code
    said = capsys.readouterr()
    assert "doctor hosts: " in said.err
    assert [*(json.loads(said.out) if code == 0 else said.out)] == (["gpu-1"] if code == 0 else [])
    assert PRIVATE.splitlines()[1] not in said.out + said.err
    assert given == {"told": INVENTORY, "logins": {"gpu-1": Login(KEY)}}


def test_by_hand_with_key_files_nothing_is_read_from_the_standard_input(project, monkeypatch, capsys):
    class Silent(Typed):
        def read(self) -> str:
            raise AssertionError("read from a standard input that may never end")

    monkeypatch.setattr(
        host_check, "check_hosts", lambda told, logins, known: (Report("doctor hosts", {}, [ERROR]), {})
    )
    monkeypatch.setattr(sys, "stdin", Silent(""))
    assert main(["doctor", "hosts", "--file", "Pulumi.dev.yaml", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["errors"] == 1


@pytest.mark.parametrize("look", [["hosts"], ["cluster", "--kubeconfig", "kubeconfig"]])
@pytest.mark.parametrize(("findings", "code"), [([], 0), ([WARNING], 0), ([WARNING, ERROR], 1), (None, 2)])
def test_machines_and_cluster_are_told_alike(project, monkeypatch, capsys, look, findings, code):
    """One form and one meaning of the exit status, so that a script can ask both."""

    def report():
        if findings is None:
            raise InputError("nobody can be asked")
        return Report("t", {"a": "x"}, findings)

    (project / "kubeconfig").write_text("{}")
    monkeypatch.setattr(client, "parse_kubeconfig", lambda text, where: None)
    monkeypatch.setattr(host_check, "check_hosts", lambda told, logins, known: (report(), {}))
    monkeypatch.setattr(readiness, "check_once", lambda told, access: report())
    assert main(["doctor", *look, "--file", "Pulumi.dev.yaml", "--json"]) == code
    said = capsys.readouterr()
    if findings is None:
        (problem,) = json.loads(said.out)["problems"]
        assert (problem["found"], said.err) == ("nobody can be asked", "")
    else:
        told = json.loads(said.out)
        assert (told["ok"], told["errors"], len(told["problems"])) == (code == 0, code, len(findings))


def test_an_agent_that_the_stack_wants_and_nobody_named(monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps({**INVENTORY, "agent": True}))
    monkeypatch.setattr(sys, "stdin", Typed("{}"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert main(["doctor", "hosts", "--from-graph"]) == 2
    assert "ssh.agent is true, and SSH_AUTH_SOCK names no SSH agent" in capsys.readouterr().err


def test_an_ssh_agent_that_is_gone_is_told_before_pulumi_fails_on_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(INVENTORY))
    monkeypatch.setattr(sys, "stdin", Typed("{}"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent.1"))
    assert main(["doctor", "hosts", "--from-graph"]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "agent.1") in said and "env -u SSH_AUTH_SOCK pulumi up" in said
