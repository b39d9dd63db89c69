"""The JSON Schema for editors, checked with an independent validator."""

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
from k3sgpu.settings.config_keys import NAMESPACE
from k3sgpu.settings.files.stack_file import read_keys
from k3sgpu.settings.models.sections import Sections
from k3sgpu.settings.schema import stack_schema
from tests.data import broken_files as b
from tests.data.accepted import ACCEPTED
from tests.data.stack_files import with_
from tests.unit.settings.test_fuzz import STEADY, spoilt

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = stack_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


ALTERNATIVES = {"no k3s", "two clusters", "no role", "without hosts"}
"""Cases of rules that the schema covers as well: k3s or kubeconfig, role and hosts or nodes."""


def refusals(config: dict[str, Any]) -> list[str]:
    """The paths at which the schema refuses a stack file with this configuration."""
    return [error.json_path for error in VALIDATOR.iter_errors({"config": config})]


def test_schema_is_valid_and_current() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert json.loads(FILE.read_text()) == SCHEMA, "run make schema"


def test_schema_accepts_every_example_that_names_it() -> None:
    files = sorted(ROOT.glob("Pulumi.*.yaml"))
    assert len(files) > 1
    for file in files:
        VALIDATOR.validate(yaml.safe_load(file.read_text()))
        assert file.read_text().startswith(f"# yaml-language-server: $schema={FILE.relative_to(ROOT)}\n")


@pytest.mark.parametrize("case", ACCEPTED)
def test_schema_accepts_accepted_changes(case: str) -> None:
    assert not refusals({NAMESPACE + key: value for key, value in with_(ACCEPTED[case]).items()})


@STEADY
@given(spoilt())
def test_schema_accepts_whatever_the_program_accepts(raw: dict[str, Any]) -> None:
    try:
        s.parse(raw)
    except s.SettingsError:
        return
    assert not refusals({NAMESPACE + key: value for key, value in raw.items()})


@pytest.mark.parametrize("case", b.REFUSED)
def test_schema_refuses_what_one_key_can_show(case: str, tmp_path: Path) -> None:
    try:
        plain, _ = read_keys(b.REFUSED[case].write(tmp_path))
    except s.SettingsError:  # a number that no JSON has, and therefore no schema sees
        return
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
def test_schema_requires_encrypted_secrets(config: dict[str, Any], good: bool) -> None:
    found = refusals({NAMESPACE + key: value for key, value in {**with_({}), **config}.items()})
    assert bool(found) != good


def test_schema_ignores_keys_of_other_namespaces() -> None:
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
