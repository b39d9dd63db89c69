"""`release`: asks first, ends with 1 while a host is left, and describes the cluster in a file."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from k3sgpu.cli.main import main
from k3sgpu.hosts import staging
from k3sgpu.hosts.staging import Outcome
from tests.data.stack_files import with_
from tests.unit.hosts.sshd import HOST_KEY, LOGIN_KEY, public_line


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the stack file of `lab`, and nobody to ask."""
    key = public_line(HOST_KEY)
    hosts = {
        "pools/control/hosts/server-1": {"address": "10.0.0.11", "hostKey": key},
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": key},
        "ssh/privateKeyFile": "id",
    }
    (tmp_path / "id").write_bytes(LOGIN_KEY.export_private_key())
    settings = {f"k3s-gpu-sharing:{name}": value for name, value in with_(hosts).items()}
    (tmp_path / "Pulumi.lab.yaml").write_text(yaml.safe_dump({"config": settings}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


def answering(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[str]:
    """Hosts with this outcome; returns the names of those that will be released."""
    names: list[str] = []

    async def release(owner: Any, version: str, hosts: Any, logins: Any, bastion: Any) -> Outcome:
        names.extend(host["name"] for host in hosts)
        return outcome

    monkeypatch.setattr(staging, "release_hosts", release)
    return names


def test_release_describes_the_cluster_and_the_next_steps(project: Path, monkeypatch, capsys):
    names = answering(monkeypatch, Outcome({"gpu-1": "released", "server-1": "released"}, []))
    assert main(["release", "lab", "--yes"]) == 0
    assert names == ["gpu-1", "server-1"]
    notes = (project / "Pulumi.lab.released.md").read_text()
    for word in ("servers: server-1", "helm get values gpu-operator", "time-slicing-config", "Deployment "):
        assert word in notes
    assert "pulumi stack rm lab --force --preserve-config" in capsys.readouterr().out


def test_host_that_is_left_ends_the_release_with_1(project: Path, monkeypatch, capsys):
    answering(monkeypatch, Outcome({"gpu-1": "released"}, ["server-1: no answer"]))
    assert main(["release", "lab", "--yes"]) == 1
    assert "server-1: no answer" in capsys.readouterr().err
    assert not (project / "Pulumi.lab.released.md").exists()


def test_without_a_terminal_the_flag_is_named(project: Path, monkeypatch, capsys):
    names = answering(monkeypatch, Outcome({}, []))
    assert main(["release", "lab"]) == 2
    assert names == [] and "--yes" in capsys.readouterr().err
