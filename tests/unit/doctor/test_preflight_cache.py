"""What a preflight leaves for the next one, and which machines the next one need not ask."""

import io
import json

import asyncssh
import pytest

from k3sgpu.cli.main import main
from k3sgpu.doctor import host_check, preflight_cache
from k3sgpu.handoff.inventory import HostEntry, Inventory
from k3sgpu.hosts.facts import Answer, Clock, Facts
from tests.data.inventories import host_entry, inventory_of

PRIVATE_KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def agent(name: str) -> HostEntry:
    return host_entry(name, role="agent", address=f"{name}.example.org")


def cluster_of(*agents: str, **changes: object) -> Inventory:
    return inventory_of(host_entry("server-1"), *map(agent, agents), **changes)


def facts(name: str) -> Facts:
    values = {"machine-id": f"id-{name}", "product-uuid": f"uuid-{name}", "hostname": name}
    return Facts({fact: (value,) for fact, value in values.items()})


def test_digest_depends_on_no_other_host():
    before = preflight_cache.host_digests(cluster_of("gpu-1", "gpu-2"), "secret", "0")
    changed = cluster_of("gpu-1", "gpu-2", "gpu-3")
    changed["hosts"][1]["port"] = 2222
    after = preflight_cache.host_digests(changed, "secret", "0")
    assert {name for name in before if before[name] == after[name]} == {"server-1", "gpu-2"}


@pytest.mark.parametrize(
    "change",
    [
        (cluster_of("gpu-1", k3sVersion="v1.36.3+k3s1"), "secret", "0"),
        (inventory_of(host_entry("server-1"), agent("gpu-1"), host_entry("server-2")), "secret", "0"),
        (cluster_of("gpu-1"), "another secret", "0"),
        (cluster_of("gpu-1"), "secret", "1"),
    ],
    ids=["version", "another server", "another secret", "another generation"],
)
def test_digest_of_every_host_depends_on_what_the_cluster_shares(change):
    before = preflight_cache.host_digests(cluster_of("gpu-1"), "secret", "0")
    after = preflight_cache.host_digests(*change)
    assert not {name for name in before if before[name] == after[name]}


def test_cache_holds_the_facts_of_hosts_that_did_not_change():
    digests = preflight_cache.host_digests(cluster_of("gpu-1", "gpu-2"))
    known = {"gpu-1": facts("gpu-1"), "gpu-2": Facts({"hostname": ("gpu-2",)})}
    text = preflight_cache.write_cache(digests, known)
    assert preflight_cache.read_cache(text, digests) == known
    assert preflight_cache.read_cache(text, {**digests, "gpu-1": "another"}).keys() == {"gpu-2"}
    assert preflight_cache.read_cache(text, {"gpu-3": digests["gpu-1"]}) == {}


@pytest.mark.parametrize("text", ["", "doctor hosts: no problems", "[]", '{"gpu-1": 1}', '{"gpu-1": ["d"]}'])
def test_text_that_is_no_cache_is_ignored(text):
    assert preflight_cache.read_cache(text, {"gpu-1": "d"}) == {}


def test_cache_too_long_for_a_variable_is_not_written():
    many = {f"gpu-{number}": facts(f"gpu-{number}") for number in range(2_000)}
    assert preflight_cache.write_cache(dict.fromkeys(many, "0" * 16), many) == ""
    some = dict(list(many.items())[:500])
    text = preflight_cache.write_cache(dict.fromkeys(some, "d"), some)
    assert preflight_cache.read_cache(text, dict.fromkeys(some, "d")) == some


def test_report_too_long_for_a_variable_is_cut():
    line = "  warning: swap: it is on … \n"
    assert preflight_cache.shorten_report(line) == line
    cut = preflight_cache.shorten_report(line * 20_000)
    assert len(cut.encode()) < 128 * 1024
    assert cut.startswith(line * 3_000)
    assert cut.endswith("python -m k3sgpu doctor hosts --file Pulumi.<stack>.yaml shows all of it")


def test_next_preflight_asks_servers_and_changed_agents_alone(monkeypatch, capsys):
    asked = []

    async def collect_facts(hosts, logins, bastion, script):
        asked.append([host["name"] for host in hosts])
        return {host["name"]: Answer(facts(host["name"]), Clock(0, 0), "") for host in hosts}

    monkeypatch.setattr(host_check, "collect_facts", collect_facts)
    monkeypatch.setattr(host_check, "run_rules", lambda machines, plan, others: [])
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def preflight(*agents: str, previous: str, **changes: object) -> tuple[str, str]:
        monkeypatch.setenv("K3SGPU_INVENTORY", json.dumps(cluster_of(*agents, **changes)))
        monkeypatch.setenv("PULUMI_COMMAND_STDOUT", previous)
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"sshPrivateKey": PRIVATE_KEY})))
        assert main(["doctor", "hosts", "--from-graph"]) == 0
        printed = capsys.readouterr()
        return printed.out, printed.err

    first, _ = preflight("gpu-1", "gpu-2", previous="")
    second, report = preflight("gpu-1", "gpu-2", "gpu-3", previous=first)
    assert "checked before, and nothing has changed since: gpu-1, gpu-2" in report
    third, _ = preflight("gpu-1", "gpu-3", previous=second)
    preflight("gpu-1", "gpu-3", previous=third, k3sVersion="v1.36.3+k3s1")
    assert asked == [
        ["server-1", "gpu-1", "gpu-2"],
        ["server-1", "gpu-3"],
        ["server-1"],
        ["server-1", "gpu-1", "gpu-3"],
    ]
    assert json.loads(third).keys() == {"server-1", "gpu-1", "gpu-3"}
