"""Reading stack files as Pulumi does: namespaces, encrypted values, YAML 1.2."""

import json
from pathlib import Path

import pytest
import yaml

from k3sgpu import settings as s
from tests.data.stack_files import GOOD

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, text: str) -> Path:
    """A stack file with the good settings as JSON, which is YAML, and `text` below them."""
    keys = "".join(f"  k3s-gpu-sharing:{key}: {json.dumps(value)}\n" for key, value in GOOD.items())
    file = folder / "Pulumi.test.yaml"
    file.write_text(f"config:\n{keys}{text}")
    return file


def refusal(file: Path) -> s.Problem:
    """The only problem of a file."""
    with pytest.raises(s.SettingsError) as refused:
        s.read_stack_file(file)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize("name", ["dev", "single"])
def test_example_stack_files_are_valid(name: str) -> None:
    settings = s.read_stack_file(ROOT / f"Pulumi.{name}.yaml")
    assert settings.k3s.disable == ("traefik",)
    assert settings.workloads["nvidia-plugin-test-2"].gpus == 2
    assert {node.gpu.profile for node in settings.nodes if node.gpu} == {"2080ti-12gb"}


def test_file_and_its_keys_give_the_same_settings(tmp_path: Path) -> None:
    assert s.read_stack_file(written(tmp_path, "")) == s.parse(GOOD)


def test_keys_of_other_namespaces_are_ignored(tmp_path: Path) -> None:
    file = written(tmp_path, "  aws:region: eu\n  pulumi:tags: {a: b}\n")
    file.write_text(file.read_text() + "encryptionsalt: v1:abc\n")
    s.read_stack_file(file)


def test_encrypted_key_counts_as_secret_that_is_set(tmp_path: Path) -> None:
    file = written(tmp_path, "  k3s-gpu-sharing:sshPrivateKey: {secure: AAAB}\n")
    file.write_text(file.read_text().replace('{"privateKeyFile": "key"}', "{}"))
    assert s.read_stack_file(file).secrets == {"sshPrivateKey"}


def test_off_is_a_string(tmp_path: Path) -> None:
    assert yaml.safe_load("off") is False
    assert s.read_stack_file(written(tmp_path, "  k3s-gpu-sharing:fit: off\n")).fit == "off"


def test_keys_of_digits_are_strings(tmp_path: Path) -> None:
    hosts = "{control: {role: server, hosts: {1: 10.0.0.1}}}"
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(written(tmp_path, "").read_text().replace(json.dumps(GOOD["pools"]), hosts))
    assert s.read_stack_file(file).server.name == "1"


@pytest.mark.parametrize(
    ("text", "place", "found", "remedy"),
    [
        ("  k3s-gpu-sharing:wrkloads: {}\n", "wrkloads", "unknown key", "write workloads"),
        ("  workloads: {}\n", "config.workloads", "namespace", "k3s-gpu-sharing:workloads"),
        (
            "  k3s-gpu-sharing:fit: warn\n  k3s-gpu-sharing:fit: off\n",
            "line 9, column 3",
            "(first in line 8)",
            "",
        ),
        ("  k3s-gpu-sharing:fit: [warn\n", "line 9, column 1", "expected ',' or ']'", "correct this line"),
        ("\tfit: warn\n", "line 8, column 1", "cannot start any token", "correct this line"),
    ],
)
def test_invalid_yaml_is_refused_with_line_and_column(
    tmp_path: Path, text: str, place: str, found: str, remedy: str
) -> None:
    file = written(tmp_path, "  x:y: 1\n" + text)
    problem = refusal(file)
    assert place in problem.where
    assert found in problem.found
    assert remedy in problem.remedy


def test_encrypted_value_inside_an_object_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    file.write_text(file.read_text().replace('"privateKeyFile": "key"', '"privateKey": {"secure": "AAAB"}'))
    problem = refusal(file)
    assert problem.where == "ssh.privateKey"
    assert "AAAB" not in repr(problem)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    problem = refusal(tmp_path / "Pulumi.none.yaml")
    assert "Pulumi.none.yaml" in problem.where and "no such file" in problem.found


@pytest.mark.parametrize("text", ["- a\n", "config: []\n", "config: x\n", "text"])
def test_file_without_config_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(text)
    assert "config:" in refusal(file).remedy


def test_empty_file_lacks_required_keys(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text("")
    with pytest.raises(s.SettingsError) as refused:
        s.read_stack_file(file)
    assert {problem.where for problem in refused.value.problems} == {"k3s", "pools"}


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refusal(file).found
