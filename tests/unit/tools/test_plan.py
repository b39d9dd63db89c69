"""`plan`: the tree, the policies, and the resources as JSON."""

import json
from pathlib import Path

import pytest

from k3sgpu.settings import SECRET_KEYS
from tools import plan
from tools.mocked_program import Hidden
from tools.plan import main

ROOT = Path(__file__).resolve().parents[3]
DEV = str(ROOT / "Pulumi.dev.yaml")


def test_tree_shows_every_resource_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--file", DEV]) == 0
    text = capsys.readouterr().out
    assert text.startswith("stack dev, ") and text.endswith("\n\nno policy is broken\n")
    assert "  cluster-agent-gpu-1" in text


def test_json_shows_every_resource_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--file", DEV, "--json"]) == 0
    text = capsys.readouterr().out
    printed = json.loads(text)
    assert (printed["stack"], printed["violations"], printed["refused"]) == ("dev", [], None)
    by_name = {one["name"]: one for one in printed["resources"]}
    agent, operator = by_name["cluster-agent-gpu-1"], by_name["gpu-operator"]
    assert agent["type"] == "command:remote:Command" and agent["parent"].endswith("K3sCluster::cluster")
    assert agent["inputs"]["connection"] == "[secret]" and agent["inputs"]["stdin"] == "[secret]"
    assert any(urn.endswith("::cluster-tokens") for urn in agent["dependencies"])
    assert operator["protect"] is False
    assert "PRIVATE KEY" not in text


def test_plan_makes_up_each_secret_in_its_form(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    text = Path(DEV).read_text().replace("    privateKeyFile: .rehearsal/id_ed25519\n", "")
    keys = [name for name in SECRET_KEYS if name in ("sshPrivateKey", "registryCredentials")]
    file.write_text(text + "".join(f"  k3s-gpu-sharing:{name}: {{secure: AAAB}}\n" for name in keys))
    assert main(["--file", str(file), "--json"]) == 0


def test_secrets_inside_values_are_masked() -> None:
    value = {"list": [Hidden("a"), {"key": Hidden({"b": "c"})}], "text": "d"}
    assert plan._masked(value) == {"list": ["[secret]", {"key": "[secret]"}], "text": "d"}


@pytest.mark.parametrize("json_wanted", [False, True])
def test_stack_that_the_program_refuses_is_status_1(
    json_wanted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Pulumi.lab.yaml"
    file.write_text(Path(DEV).read_text().replace("gpus: 2", "gpus: 4"))
    assert main(["--file", str(file), *(["--json"] if json_wanted else [])]) == 1
    printed = capsys.readouterr()
    text = json.loads(printed.out)["refused"] if json_wanted else printed.err
    assert "Insufficient nvidia.com/gpu" in text
    assert bool(printed.out) is json_wanted and bool(printed.err) is not json_wanted
