"""Reading stack files as Pulumi does: namespaces, encrypted values, YAML 1.2."""

import json
import os
from pathlib import Path

import pytest
import yaml

from k3sgpu import settings as s
from k3sgpu.settings.config_keys import misplaced
from k3sgpu.settings.files.stack_file import read_keys
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
            "config.k3s-gpu-sharing:fit",
            "(first in line 8), in line 9",
            "remove one",
        ),
        ("  k3s-gpu-sharing:fit: [warn\n", "line 9, column 1", "expected ',' or ']'", "correct this line"),
        ("\tfit: warn\n", "line 8, column 1", "found a tab", "correct this line"),
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x10", 16),
        ("0o17", 15),
        ("1_000", 1000),
        ("1e3", 1000),
        (".5", 0.5),
        ("+1", 1),
        ("-0.0", 0),
        ("1.50", 1.5),
        ("yes", "yes"),
        ("Off", "Off"),
        ("TRUE", True),
        ("1:30", "1:30"),
        ("2026-01", "2026-01"),
        ("'2026-01-02'", "2026-01-02"),
        ("!!str 010", "010"),
        ("x\u00a0y", "x\u00a0y"),
        ('"\\u00a0"', "\u00a0"),
        ("{1: a, true: b, 1.5: c}", {"1": "a", "true": "b", "1.5": "c"}),
        ("{b: {<<: {y: 1, z: 2}, y: 3}}", {"b": {"y": 3, "z": 2}}),
        ("{b: {<<: [{y: 1}, {y: 2, z: 3}]}}", {"b": {"y": 1, "z": 3}}),
        ("{secure: x, more: y}", {"secure": "x", "more": "y"}),
    ],
)
def test_values_are_those_of_pulumi(tmp_path: Path, text: str, value: object) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(f"config:\n  k3s-gpu-sharing:x: {text}\n", encoding="utf-8")
    plain, _ = read_keys(file)
    assert json.dumps(plain["x"]) == json.dumps(value)


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("010", "x", "octal"),
        ("-08", "x", "octal"),
        ("2026-01-02", "x", "a date"),
        ("2026-01-02T03:04:05Z", "x", "a date"),
        (".nan", "x", "cannot express"),
        ("[-.INF]", "x[0]", "cannot express"),
        ("{a: 9007199254740993}", "x.a", "without loss"),
        ("0xFFFFFFFFFFFFFFFFFF", "x", "without loss"),
        ("{~: 1}", "x", "reads as no value"),
        ("{0x10: 1}", "x", "reads as 16"),
        ("{010: 1}", "x", "octal"),
        ("{[a]: 1}", "x", "no plain text"),
        ("!!binary aGk=", "x", "the tag"),
        ("! 5", "x", "the tag"),
        ("{<<: 5}", "x", "no mapping below <<"),
        ("{<<: {a: 1}, <<: {b: 1}}", "x.<<", "a second time"),
        ("{secure: 5}", "x", "without an encrypted text"),
        ("", "x", "no value"),
        ("[a:\u00a0b]", "x[0]", "U+00A0"),
    ],
)
def test_value_that_pulumi_would_change_is_refused_with_its_line(
    tmp_path: Path, text: str, where: str, found: str
) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(f"config:\n  k3s-gpu-sharing:x: {text}\n", encoding="utf-8")
    problem = refusal(file)
    assert (problem.where, found in problem.found, "in line 2" in problem.found) == (where, True, True)


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud800"',
        '"\\/"',
        "'\x7f'",
        "[" * 70,
        "{a: &a [*a]}",
        "*b",
        "a: b: c",
        "1\n---\nconfig: {}",
        "\n    user:\u00a0 root\n    port: 1",
    ],
)
def test_yaml_that_pulumi_refuses_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(f"config:\n  k3s-gpu-sharing:x: {text}\n", encoding="utf-8")
    assert ": line " in refusal(file).where


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("K3s-gpu-sharing:pools", "k3s-gpu-sharing:pools"),
        ("k3s-gpu-share:nothing", "k3s-gpu-sharing:nothing"),
        ("k3s:workloads", "k3s-gpu-sharing:workloads"),
        ("k3s-gpu-sharing:config:fit", "k3s-gpu-sharing:fit"),
        ("wrkloads", "k3s-gpu-sharing:workloads"),
        ("a:b:c", "k3s-gpu-sharing:"),
    ],
)
def test_key_that_the_program_never_sees_is_refused(key: str, remedy: str) -> None:
    (problem,) = misplaced([key])
    assert problem.where == f"config.{key}" and remedy in problem.remedy


def test_keys_of_providers_are_accepted() -> None:
    keys = ["aws:region", "kubernetes:kubeconfig", "kubernetes:context", "pulumi:tags", "aws:config:region"]
    assert misplaced([*keys, "k3s-gpu-sharing:pools", "k3s-gpu-sharing:unknown"]) == []


def test_pipe_device_and_huge_file_are_refused(tmp_path: Path) -> None:
    pipe, huge = tmp_path / "pipe", tmp_path / "huge"
    os.mkfifo(pipe)
    huge.write_bytes(b"#" * (2 * 1024 * 1024))
    for file in (pipe, Path("/dev/zero"), huge, tmp_path, tmp_path / "a\0b"):
        assert "cannot be read" in refusal(file).found


def test_yaml_anchors_beside_config_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text("\ufeffx-ssh: &ssh {user: me}\nconfig:\n  k3s-gpu-sharing:ssh: *ssh\n", encoding="utf-8")
    assert read_keys(file)[0] == {"ssh": {"user": "me"}}
