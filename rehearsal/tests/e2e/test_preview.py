"""What a pull request's workflow runs, on the real engine: no machine of these stack files exists."""

import asyncio
import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pulumi_command import remote

from rehearsal.lab import identity, policies
from rehearsal.lab.engine import Engine
from rehearsal.lab.fixture import Stage, stack_config, stage
from rehearsal.progress import Progress

HOSTS = {"server-1": "192.0.2.1", "gpu-1": "192.0.2.2"}  # TEST-NET-1: nobody's, by RFC 5737


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {"server-1": HOSTS["server-1"]}
    config["pools"]["rtx"]["hosts"] = {"gpu-1": HOSTS["gpu-1"]}
    config["k3s"]["protect"] = True
    with stage("lab", tmp_path_factory.mktemp("lab"), config) as one:
        key = identity.private_key(one.site.state)
        key.parent.mkdir(parents=True)
        identity.make_key(key, "nobody")
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        identity.remember(one.site.state, dict.fromkeys(HOSTS.values(), public))
        one.site.provide(one.tools, Progress())
        yield one


def engine(lab: Stage) -> Engine:
    """With what runs the policy pack."""
    lab.write()
    plain = lab.site.engine(lab.tools)
    return replace(plain, path=(*plain.path, policies.prepare(Progress())))


def test_a_preview_contacts_no_machine_and_passes_every_policy(lab: Stage):
    counts = engine(lab).preview(lab.hear, policies.PACK)
    said = "\n".join(lab.said)
    assert set(counts) == {"create"} and counts["create"] > 20
    assert "4 of 6 slices taken" in said and "k3s-gpu-sharing@v1.0.0" in said and "violation" not in said


def test_the_sdk_waits_for_registrations_and_not_for_all_outputs_again_and_again(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
):
    """What `flush_registrations` is for. Under mocks the SDK registers while the program runs."""
    looked_at: list[int] = []
    wait = asyncio.wait

    def counted(outputs, **options):
        looked_at.append(len(outputs))
        return wait(outputs, **options)

    lab.write()
    monkeypatch.setattr(asyncio, "wait", counted)
    counts = lab.site.engine(lab.tools).preview(lab.hear)
    assert sum(looked_at) < counts["create"], looked_at


def test_a_stack_that_a_policy_forbids_is_refused_with_its_reason(lab: Stage):
    config = copy.deepcopy(lab.config)
    config["k3s"]["protect"] = False
    config["workloads"]["nvidia-plugin-test-2"]["image"] = "nvidia/samples"
    bad = replace(lab, config=config)
    said = bad.refused(lambda: engine(bad).preview(bad.hear, policies.PACK))
    assert "protected-servers" in said and "write k3s.protect: true" in said
    assert "no-latest" in said and "write a version's tag or a digest" in said
    assert "host-keys-present" not in said


def test_a_bad_program_is_refused_by_every_rule_it_breaks(lab: Stage):
    def bad() -> None:
        remote.Command(
            "install",
            connection={"host": HOSTS["gpu-1"], "private_key": "abcdefgh"},
            create="echo abcdefgh | install-k3s",
            delete="k3s-uninstall.sh",
            triggers=["v1"],
        )

    said = lab.refused(lambda: replace(engine(lab), program=bad).preview(lab.hear, policies.PACK))
    for rule in ("no-triggers-beside-delete", "host-keys-present", "no-secret-in-scripts"):
        assert rule in said
