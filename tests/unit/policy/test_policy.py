"""The rules of the policy pack, on resources as a preview plans them."""

import re
from pathlib import Path
from typing import Any

import pytest

from policy.rules import RULES, UNKNOWN, Planned

ROOT = Path(__file__).resolve().parents[3]
COMMAND, RELEASE = "command:remote:Command", "kubernetes:helm.sh/v3:Release"
POD = "kubernetes:core/v1:Pod"
CONNECTION = {
    "host": "10.0.0.1",
    "hostKey": "ssh-ed25519 AAAA",
    "privateKey": "-----\nMIIEvQIBADAN\n",
}
TOKEN = "K10" + "ab" * 32 + "::server:x"


def planned(
    kind: str, name: str = "a", stack: str = "lab", provider: str = "cluster", **more: Any
) -> Planned:
    """A resource of the stack `lab`. What is not `protect` is a property."""
    protect = more.pop("protect", False)
    urn = f"urn:pulumi:{stack}::k3s-gpu-sharing::k3sgpu:index:K3sCluster${kind}::{name}"
    return Planned(urn, kind, name, more, protect, provider)


def image(text: str) -> dict[str, Any]:
    """The spec of a pod."""
    return {"spec": {"initContainers": [{"image": "x:1"}], "containers": [{"image": text}]}}


GOOD = {
    "no-triggers-beside-delete": [
        planned(COMMAND, connection=CONNECTION, create="a", delete="b", triggers=[]),
        planned(COMMAND, connection=CONNECTION, create="a", triggers=["v1"]),
    ],
    "host-keys-present": [
        planned(COMMAND, connection=CONNECTION),
        planned(COMMAND, connection={**CONNECTION, "hostKey": UNKNOWN}),
        planned(COMMAND, connection=UNKNOWN),
        planned("command:local:Command", create="true"),
    ],
    "explicit-provider": [planned(POD), planned(COMMAND, provider="default_1_2_1", connection=CONNECTION)],
    "pinned-versions": [
        planned(RELEASE, version="v26.3.3"),
        planned(RELEASE, version="1.2.3-rc.1"),
        planned(RELEASE, version=UNKNOWN),
    ],
    "no-latest": [
        planned(POD, **image("registry:5000/a/b:1.2")),
        planned(POD, **image("a/b@sha256:abc")),
        planned(POD, **image("latest/b:1")),
        planned("command:local:Command", environment={"PLAN": '{"image": "a/b:1"}', "OTHER": "latest"}),
        planned(RELEASE, version="v1.0.0", values={"dcgm": {"image": "dcgm", "version": "4.1"}}),
    ],
    "protected-servers": [
        planned(COMMAND, "cluster-server-a", connection=CONNECTION, protect=True),
        planned(COMMAND, "cluster-server-a", "dev", connection=CONNECTION),
        planned(COMMAND, "cluster-agent-old-server-a", connection=CONNECTION),
    ],
    "no-secret-in-scripts": [
        planned(COMMAND, connection=CONNECTION, stdin=TOKEN, create="IFS= read -r TOKEN; install-k3s"),
        planned(COMMAND, connection=CONNECTION, create='token=$(cat "$file"); password=""'),
        planned(
            COMMAND, connection=CONNECTION, stdin="hunter2hunter2\n-- end --\n", create="until '-- end --'"
        ),
        planned(COMMAND, connection=CONNECTION, create=UNKNOWN),
    ],
}
BAD = {
    "no-triggers-beside-delete": [
        planned(COMMAND, connection=CONNECTION, create="a", delete="b", triggers=["v1"])
    ],
    "host-keys-present": [
        planned(COMMAND, connection={"host": "10.0.0.1"}),
        planned(COMMAND, connection={**CONNECTION, "proxy": {"host": "10.0.0.9"}}),
        planned("command:remote:CopyToRemote", connection={**CONNECTION, "hostKey": ""}),
    ],
    "explicit-provider": [planned(POD, provider="default_4_34_2")],
    "pinned-versions": [
        planned(RELEASE),
        planned(RELEASE, version="26.x"),
        planned(RELEASE, version=">=1.0.0"),
    ],
    "no-latest": [
        planned(POD, **image("a/b")),
        planned(POD, **image("registry:5000/b")),
        planned(POD, **image("a/b:latest")),
        planned("command:local:Command", environment={"PLAN": '{"image": "a/b:latest"}'}),
        planned("command:local:Command", environment={"PLAN": '{"image": "a/b"}'}),
        planned(RELEASE, version="v1.0.0", values={"driver": {"version": "latest"}}),
    ],
    "protected-servers": [planned(COMMAND, "cluster-server-a", connection=CONNECTION)],
    "no-secret-in-scripts": [
        planned(COMMAND, connection=CONNECTION, create=f"join {TOKEN}"),
        planned(COMMAND, connection=CONNECTION, create="echo MIIEvQIBADAN > key"),
        planned(COMMAND, connection=CONNECTION, stdin="hunter2hunter2", delete="leave hunter2hunter2"),
        planned(
            COMMAND, connection=CONNECTION, stdin="KEY=aHVudGVyMmh1bnRlcjI=\n", create="echo hunter2hunter2"
        ),
        planned(COMMAND, connection=CONNECTION, update="K3S_TOKEN=abcdef1234567 install-k3s"),
    ],
}
BY_NAME = {rule.name: rule for rule in RULES}


def test_every_rule_has_a_reason_and_both_kinds_of_cases() -> None:
    assert GOOD.keys() == BAD.keys() == BY_NAME.keys()
    assert all(rule.reason.endswith(".") for rule in RULES)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_good_passes_every_rule(name: str) -> None:
    for case in GOOD[name]:
        assert not list(BY_NAME[name].check(case))


@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_bad_is_told_once_with_what_to_write_and_without_the_secret(name: str) -> None:
    for case in BAD[name]:
        (told,) = BY_NAME[name].check(case)
        assert ";" in told, "and what to do instead"
        for secret in (TOKEN, "MIIEvQIBADAN", "hunter2hunter2", "abcdef1234567"):
            assert secret not in told


def test_its_sdk_is_the_programs() -> None:
    pins = [(ROOT / folder / "requirements.in").read_text() for folder in ("", "policy")]
    ours, packs = [re.findall(r"^pulumi==.*$", text, re.MULTILINE) for text in pins]
    assert ours == packs
