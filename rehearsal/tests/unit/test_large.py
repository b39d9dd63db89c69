"""The walk on many machines: its stack file and its page."""

import json
from dataclasses import asdict

import pytest

from k3sgpu import settings as s
from rehearsal.lab import network
from rehearsal.lab.fixture import PREFIX
from rehearsal.large import large_stack, usage
from rehearsal.large.report import Connections, Walk, WalkStep, page

LOGINS = {"server-1": 5, "gpu-1": 2, "agent-1": 0}


@pytest.mark.parametrize(("servers", "agents"), [(1, 1), (1, 99), (3, 250)])
def test_a_stack_of_any_size_is_accepted(servers: int, agents: int, tmp_path):
    config = large_stack.config(servers, agents)
    hosts = large_stack.hosts(config)
    assert len(hosts) == len(set(hosts.values())) == servers + agents
    for name, address in hosts.items():
        network.check_address(name, address)
    ssh = {"user": "root", "privateKeyFile": "key", "knownHostsFile": "known_hosts"}
    whole = {PREFIX + key: value for key, value in {**config, "ssh": ssh}.items()}
    file = tmp_path / "Pulumi.large.yaml"
    file.write_text(json.dumps({"config": whole}))
    assert len(s.read_stack_file(file, {}).machines) == servers + agents


def test_page_shows_what_was_saved():
    step = WalkStep(
        "first up",
        61,
        counts={"create": 7},
        engine_mib=99,
        connections=Connections.of(LOGINS, {"server-1": "10.77.0.10"}),
        longest=[("Command one", 5.0)],
        usage=usage.Usage({"engine": 3.0}, 0.5, 2048),
    )
    walk = Walk(1, 2, "a computer", "today", [step, WalkStep("destroy", 2, failure="why")])
    assert Walk.parse(json.loads(json.dumps(asdict(walk)))) == walk
    text = page([walk], "Remarks.")
    assert "| first up | 1 min 1 s | 7 create | 99, 0 MiB |  | 7, 5, 2 |" in text
    assert "| first up | 50% | 2.00 GiB | engine 3 s |" in text
    assert "destroy | 2.0 s **failed**" in text and "Remarks." in text


def test_usage_counts_own_processes(tmp_path):
    with usage.measured("no-such-group") as used:
        assert sum(range(3_000_000))
    assert used.least_free_mib > 0
    assert 0 <= used.busy <= 1
