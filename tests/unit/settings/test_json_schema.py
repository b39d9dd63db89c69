"""The schema that editors read, judged by a validator that is not ours."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from pydantic import ValidationError

from k3sgpu import settings as s
from k3sgpu.cli.schema import FILE
from k3sgpu.settings.files.stack_file import NAMESPACE, read_keys
from k3sgpu.settings.models.sections import Sections
from k3sgpu.settings.schema import stack_schema
from tests.data import broken_files as b
from tests.data.stack_files import with_
from tests.unit.settings.test_fuzz import STEADY, spoilt
from tests.unit.settings.test_refusals import ACCEPTED

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = stack_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


ALTERNATIVES = {"no k3s", "two clusters", "no role", "without hosts"}
"""Rules of the program that the schema has as well: k3s or kubeconfig, role and hosts or nodes."""


def refusals(config: dict[str, Any]) -> list[str]:
    """Where the schema refuses a stack file with this configuration."""
    return [error.json_path for error in VALIDATOR.iter_errors({"config": config})]


def test_it_is_a_schema_and_current() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert json.loads(FILE.read_text()) == SCHEMA, "run make schema"


def test_it_accepts_every_example_and_an_editor_finds_it() -> None:
    files = sorted(ROOT.glob("Pulumi.*.yaml"))
    assert len(files) > 1
    for file in files:
        VALIDATOR.validate(yaml.safe_load(file.read_text()))
        assert file.read_text().startswith(f"# yaml-language-server: $schema={FILE.relative_to(ROOT)}\n")


@pytest.mark.parametrize("case", ACCEPTED)
def test_it_accepts_what_the_program_accepts(case: str) -> None:
    assert not refusals({NAMESPACE + key: value for key, value in with_(ACCEPTED[case]).items()})


@STEADY
@given(spoilt())
def test_it_accepts_whatever_the_program_accepts(raw: dict[str, Any]) -> None:
    try:
        s.parse(raw)
    except s.SettingsError:
        return
    assert not refusals({NAMESPACE + key: value for key, value in raw.items()})


@pytest.mark.parametrize("case", b.REFUSED)
def test_it_refuses_what_can_be_seen_at_one_place(case: str, tmp_path: Path) -> None:
    plain, _ = read_keys(b.REFUSED[case].write(tmp_path))
    try:
        Sections.model_validate(plain)
        seen = False
    except ValidationError:
        seen = True
    seen = seen or case in ALTERNATIVES
    assert bool(refusals({NAMESPACE + key: value for key, value in plain.items()})) == seen


@pytest.mark.parametrize(
    ("config", "good"),
    [
        ({"sshPrivateKey": {"secure": "AAAB"}}, True),
        ({"sshPrivateKey": "-----BEGIN"}, False),
        ({"workloads": {"secure": "AAAB"}}, False),
        ({"sshPrivatKey": {"secure": "AAAB"}}, False),
    ],
)
def test_secrets(config: dict[str, Any], good: bool) -> None:
    found = refusals({NAMESPACE + key: value for key, value in {**with_({}), **config}.items()})
    assert bool(found) != good


def test_keys_of_others_are_theirs() -> None:
    config = {NAMESPACE + key: value for key, value in with_({}).items()}
    assert not refusals({**config, "aws:region": "eu", "pulumi:tags": {"a": "b"}})
    assert refusals({**config, "workloads": {}})


def test_every_key_is_described_with_an_example() -> None:
    sections = SCHEMA["properties"]["config"]["properties"]
    described = [
        section for key, section in sections.items() if "secure" not in section.get("properties", {})
    ]
    described += [
        field for model in SCHEMA["definitions"].values() for field in model.get("properties", {}).values()
    ]
    assert all(field["description"] and field["examples"] for field in described)
