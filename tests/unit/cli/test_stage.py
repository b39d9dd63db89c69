"""What `stage` does around the hosts: its record, its exit status, and hosts that left the stack."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from k3sgpu.cli.main import main
from k3sgpu.handoff.staging import StagePlan, StageTarget, read_record, stage_targets, write_record
from k3sgpu.hosts import staging
from k3sgpu.hosts.scripts import staged_hashes
from k3sgpu.hosts.staging import Outcome
from tests.data.inventories import host_entry, inventory_of
from tests.unit.hosts.sshd import LOGIN_KEY

SECRETS = {"sshPrivateKey": LOGIN_KEY.export_private_key().decode(), "environment": "HTTPS_PROXY=http://p:1"}


def plan_of(*names: str) -> StagePlan:
    return {
        "owner": {"project": "k3s-gpu-sharing", "stack": "dev"},
        "agent": False,
        "bastion": None,
        "hosts": stage_targets([host_entry(name, role="agent") for name in names]),
        "scripts": staged_hashes(),
        "release": {
            "version": "v1.36.2+k3s1",
            "mirror": "https://example.org",
            "scriptUrl": "https://example.org/install.sh",
            "scriptSha256": "a" * 64,
            "binarySha256": {},
            "folder": None,
            "files": {},
        },
        "generation": 0,
    }


class Hosts:
    """Stands for the hosts: which were staged and cleaned, and what comes of it."""

    def __init__(self) -> None:
        self.staged: list[str] = []
        self.cleaned: list[str] = []
        self.environment = ""
        self.failures: Sequence[str] = []

    async def stage(
        self, plan: StagePlan, hosts: Sequence[StageTarget], logins: Any, environment: str, say: Any
    ) -> Outcome:
        self.staged += [host["name"] for host in hosts]
        self.environment = environment
        assert logins.keys() == {host["name"] for host in hosts}
        return Outcome({}, self.failures)

    async def clean(self, owner: Any, hosts: Sequence[StageTarget], logins: Any, bastion: Any) -> Outcome:
        self.cleaned += [host["name"] for host in hosts]
        return Outcome({}, self.failures)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    hosts = Hosts()
    monkeypatch.setattr(staging, "stage_hosts", hosts.stage)
    monkeypatch.setattr(staging, "clean_hosts", hosts.clean)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(SECRETS)))
    return hosts


def test_new_host_is_staged_and_the_record_has_all(hosts: Hosts, monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps(plan_of("gpu-1", "gpu-2")))
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", write_record(plan_of("gpu-1")))
    assert main(["stage"]) == 0
    assert (hosts.staged, hosts.cleaned, hosts.environment) == (["gpu-2"], [], "HTTPS_PROXY=http://p:1")
    out, err = capsys.readouterr()
    assert read_record(out.strip()) == plan_of("gpu-1", "gpu-2") and "PRIVATE KEY" not in out + err


def test_failed_host_leaves_no_record(hosts: Hosts, monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps(plan_of("gpu-1")))
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", write_record(plan_of("gpu-2")))
    hosts.failures = ["gpu-1: could not write", "gpu-3: timed out"]
    assert main(["stage"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "gpu-1: could not write\ngpu-3: timed out\n" in err and hosts.cleaned == []
    assert "gpu-1: one without k3s that is taken out of the stack file now keeps what was staged; " in err
    assert err.endswith("sudo /usr/local/lib/k3s-gpu-sharing/clean k3s-gpu-sharing dev HOST\n")


def test_failed_run_names_only_hosts_without_a_record(hosts: Hosts, monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps({**plan_of("gpu-1"), "generation": 1}))
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", write_record(plan_of("gpu-1")))
    hosts.failures = ["gpu-1: could not write"]
    assert main(["stage"]) == 1 and capsys.readouterr().err == "gpu-1: could not write\n"


def test_host_that_left_the_stack_is_cleaned_or_named(hosts: Hosts, monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps(plan_of("gpu-1")))
    before = plan_of("gpu-1", "gpu-2", "gpu-3")
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", write_record(before))
    assert main(["stage"]) == 0 and hosts.cleaned == ["gpu-2", "gpu-3"]

    before["hosts"][1]["privateKeyFile"] = "/not/there"
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", write_record(before))
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(SECRETS)))
    assert main(["stage"]) == 0
    assert "what was staged on gpu-2, gpu-3 stays there: the SSH key /not/there" in capsys.readouterr().err


def test_remove_cleans_all_hosts_and_never_fails(hosts: Hosts, monkeypatch, capsys):
    inventory = inventory_of(host_entry("gpu-1", role="agent"), host_entry("server-1"))
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(inventory))
    hosts.failures = ["gpu-1: timed out"]
    assert main(["stage", "--remove"]) == 0 and hosts.cleaned == ["gpu-1", "server-1"]
    assert "gpu-1: timed out" in capsys.readouterr().err


def test_inventory_of_another_version_does_not_stop_a_destroy(hosts: Hosts, monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps({**inventory_of(host_entry("server-1")), "old": 1}))
    assert main(["stage", "--remove"]) == 0 and hosts.cleaned == []
    assert "what was staged on hosts without k3s stays there: " in capsys.readouterr().err


def test_record_that_is_too_long_is_reported(hosts: Hosts, monkeypatch, capsys):
    monkeypatch.setattr("k3sgpu.handoff.staging.MAX_CHARACTERS", 10)
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps(plan_of("gpu-1")))
    assert main(["stage"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == "" and "too many hosts for the record" in err
