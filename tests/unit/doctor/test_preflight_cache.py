"""What a look leaves behind, and which machines the next one need not ask for it."""

import copy
import io
import json

import asyncssh
import pytest

from k3sgpu.cli.main import main
from k3sgpu.doctor import host_check, preflight_cache
from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.doctor.registry import run_rules
from k3sgpu.hosts.facts import Facts
from k3sgpu.hosts.ssh import Answer, Clock

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
PRIVATE = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def host(name: str, role: str = "agent", **more: object) -> dict:
    return {
        "name": name, "role": role, "address": f"{name}.example.org", "port": 22, "user": "root",
        "hostKey": HOST_KEY, "knownHostsFile": None, "privateKeyFile": None, "gpu": None, **more,
    }  # fmt: skip


def inventory(*agents: str, **more: object) -> dict:
    return {
        "owner": {"project": "p", "stack": "dev"}, "k3sVersion": "v1.36.2+k3s1", "driver": "host",
        "toolkit": "host", "hosts": [host("server-1", "server"), *(host(name) for name in agents)], **more,
    }  # fmt: skip


def facts(name: str, **more: str) -> Facts:
    said = {"machine-id": f"id-{name}", "product-uuid": f"uuid-{name}", "hostname": name, **more}
    return Facts({fact: (value,) for fact, value in said.items()})


def test_a_digest_is_of_the_host_and_of_the_cluster_and_of_no_other_host():
    before = preflight_cache.host_digests(inventory("gpu-1", "gpu-2"), "secret", "0")
    told = inventory("gpu-1", "gpu-2", "gpu-3")
    told["hosts"][1]["port"] = 2222
    after = preflight_cache.host_digests(told, "secret", "0")
    assert {name for name in before if before[name] == after[name]} == {"server-1", "gpu-2"}


@pytest.mark.parametrize(
    "change",
    [
        lambda told: preflight_cache.host_digests({**told, "k3sVersion": "v1.36.3+k3s1"}, "secret", "0"),
        lambda told: preflight_cache.host_digests(
            {**told, "hosts": [*told["hosts"], host("s-2", "server")]}, "secret", "0"
        ),
        lambda told: preflight_cache.host_digests(told, "another secret", "0"),
        lambda told: preflight_cache.host_digests(told, "secret", "1"),
    ],
    ids=["version", "another server", "another secret", "another generation"],
)
def test_what_all_depend_on_is_in_every_digest(change):
    told = inventory("gpu-1")
    before, after = preflight_cache.host_digests(told, "secret", "0"), change(copy.deepcopy(told))
    assert not {name for name in before if before[name] == after[name]}


def test_what_is_left_is_recalled_where_nothing_changed():
    digests = preflight_cache.host_digests(inventory("gpu-1", "gpu-2"))
    text = preflight_cache.write_cache(
        digests, {"gpu-1": facts("gpu-1"), "gpu-2": Facts({"hostname": ("gpu-2",)})}
    )
    assert preflight_cache.read_cache(text, digests) == {
        "gpu-1": facts("gpu-1"),
        "gpu-2": Facts({"hostname": ("gpu-2",)}),
    }
    assert preflight_cache.read_cache(text, {**digests, "gpu-1": "another"}).keys() == {"gpu-2"}
    assert preflight_cache.read_cache(text, {"gpu-3": digests["gpu-1"]}) == {}


@pytest.mark.parametrize("text", ["", "doctor hosts: all in order", "[]", '{"gpu-1": 1}', '{"gpu-1": ["d"]}'])
def test_what_is_no_memory_is_none(text):
    assert preflight_cache.read_cache(text, {"gpu-1": "d"}) == {}


def test_a_memory_that_would_not_come_back_is_not_left():
    many = {f"gpu-{number}": facts(f"gpu-{number}") for number in range(2_000)}
    assert preflight_cache.write_cache(dict.fromkeys(many, "0" * 16), many) == ""
    some = dict(list(many.items())[:500])
    assert (
        preflight_cache.read_cache(
            preflight_cache.write_cache(dict.fromkeys(some, "d"), some), dict.fromkeys(some, "d")
        )
        == some
    )


def test_a_report_that_would_not_come_back_is_cut():
    line = "  warning swap: it is on … \n"
    assert preflight_cache.shorten_report(line) == line
    cut = preflight_cache.shorten_report(line * 20_000)
    assert len(cut.encode()) < 128 * 1024
    assert cut.startswith(line * 3_000) and cut.endswith(
        "python -m k3sgpu doctor hosts --file Pulumi.<stack>.yaml shows all of it"
    )


def test_a_new_machine_is_compared_with_those_that_are_not_asked():
    plan = Plan(
        project="p", stack="dev", k3s_version="v1.36.2+k3s1", mirror="", driver="host", toolkit="host"
    )
    new = Machine(host("gpu-2"), facts("gpu-2", **{"machine-id": "id-gpu-1"}))
    known = Machine(host("gpu-1"), facts("gpu-1"))
    found = [finding for finding in run_rules([new], plan, [known]) if finding.check == "machine-id"]
    assert [(finding.where, finding.found) for finding in found] == [
        ("gpu-2", "machine-id id-gpu-1, the same as gpu-1")
    ]
    assert all(finding.where == "gpu-2" for finding in run_rules([new], plan, [known]))


def test_an_agent_more_is_looked_at_with_the_servers_and_nobody_else(monkeypatch, capsys):
    asked = []

    async def collect_facts(wanted, logins, bastion, question):
        asked.append([one["name"] for one in wanted])
        clock = Clock(0, 0)
        return {one["name"]: Answer(facts(one["name"]), clock, "") for one in wanted}

    monkeypatch.setattr(host_check, "collect_facts", collect_facts)
    monkeypatch.setattr(host_check, "run_rules", lambda machines, plan, others: [])
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def look(*agents: str, before: str, **more: object) -> tuple[str, str]:
        monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(inventory(*agents, **more)))
        monkeypatch.setenv("PULUMI_COMMAND_STDOUT", before)
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"sshPrivateKey": PRIVATE})))
        assert main(["doctor", "hosts", "--from-graph"]) == 0
        said = capsys.readouterr()
        return said.out, said.err

    first, _ = look("gpu-1", "gpu-2", before="")
    second, report = look("gpu-1", "gpu-2", "gpu-3", before=first)
    assert "looked at before, and nothing is new about them: gpu-1, gpu-2" in report
    third, _ = look("gpu-1", "gpu-3", before=second)
    look("gpu-1", "gpu-3", before=third, k3sVersion="v1.36.3+k3s1")
    assert asked == [
        ["server-1", "gpu-1", "gpu-2"],
        ["server-1", "gpu-3"],
        ["server-1"],
        ["server-1", "gpu-1", "gpu-3"],
    ]
    assert json.loads(third).keys() == {"server-1", "gpu-1", "gpu-3"}
