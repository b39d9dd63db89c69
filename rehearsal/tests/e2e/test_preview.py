"""Previews as a pull request's workflow runs them, on the real engine: no machine of the stack exists."""

import asyncio
import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pulumi_command import remote

from rehearsal.lab import identity, policies
from rehearsal.lab.engine import Engine
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture
from rehearsal.progress import Progress

HOSTS = {"server-1": "192.0.2.1", "gpu-1": "192.0.2.2"}  # TEST-NET-1: nobody's, by RFC 5737


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {"server-1": HOSTS["server-1"]}
    config["pools"]["rtx"]["hosts"] = {"gpu-1": HOSTS["gpu-1"]}
    config["k3s"]["protect"] = True
    with stack_fixture("preview", tmp_path_factory.mktemp("preview"), config) as one:
        key = identity.private_key(one.stack.state)
        key.parent.mkdir(parents=True)
        identity.make_key(key, "nobody")
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        identity.update_known_hosts(one.stack.state, dict.fromkeys(HOSTS.values(), public))
        one.stack.install_plugins(one.tools, Progress())
        yield one


def engine(cluster: StackFixture) -> Engine:
    """The engine with the command that runs the policy pack on PATH."""
    cluster.write_stack_file()
    plain = cluster.stack.engine(cluster.tools)
    return replace(plain, path=(*plain.path, policies.prepare(Progress())))


def test_a_preview_contacts_no_machine_and_passes_every_policy(cluster: StackFixture):
    counts = engine(cluster).preview(cluster.record_output, policies.PACK)
    said = "\n".join(cluster.output)
    assert set(counts) == {"create"} and counts["create"] > 20
    assert "4 of 6 slices taken" in said and "k3s-gpu-sharing@v1.0.0" in said and "violation" not in said


def test_the_sdk_waits_for_each_registration_once(cluster: StackFixture, monkeypatch: pytest.MonkeyPatch):
    """Tests `flush_registrations`. Under mocks the SDK registers while the program runs."""
    looked_at: list[int] = []
    wait = asyncio.wait

    def counted(outputs, **options):
        looked_at.append(len(outputs))
        return wait(outputs, **options)

    cluster.write_stack_file()
    monkeypatch.setattr(asyncio, "wait", counted)
    counts = cluster.stack.engine(cluster.tools).preview(cluster.record_output)
    assert sum(looked_at) < counts["create"], looked_at


def test_a_stack_that_violates_a_policy_is_refused(cluster: StackFixture):
    config = copy.deepcopy(cluster.config)
    config["k3s"]["protect"] = False
    config["workloads"]["nvidia-plugin-test-2"]["image"] = "nvidia/samples"
    bad = replace(cluster, config=config)
    said = bad.expect_failure(lambda: engine(bad).preview(bad.record_output, policies.PACK))
    assert "protected-servers" in said and "write k3s.protect: true" in said
    assert "no-latest" in said and "write a version's tag or a digest" in said
    assert "host-keys-present" not in said


def test_a_program_is_refused_by_every_policy_it_violates(cluster: StackFixture):
    def bad() -> None:
        remote.Command(
            "install",
            connection={"host": HOSTS["gpu-1"], "private_key": "abcdefgh"},
            create="echo abcdefgh | install-k3s",
            delete="k3s-uninstall.sh",
            triggers=["v1"],
        )

    said = cluster.expect_failure(
        lambda: replace(engine(cluster), program=bad).preview(cluster.record_output, policies.PACK)
    )
    for rule in ("no-triggers-beside-delete", "host-keys-present", "no-secret-in-scripts"):
        assert rule in said
