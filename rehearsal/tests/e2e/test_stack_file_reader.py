"""A thousand stack files, and as many values: our reader agrees with `pulumi config --json`, or refuses them.

Values that both accept are written into few files, because each run of `pulumi` takes some 0.2 s.
"""

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import settings as s
from k3sgpu.settings.config_keys import NAMESPACE
from k3sgpu.settings.files.stack_file import read_keys
from rehearsal.progress import Progress
from rehearsal.toolchain import vendor
from tests.data import yaml_corpus

VALUES, FILES = 1200, 1000
PER_FILE = 60
SECONDS = 60

STRICTER = (
    ("which is octal to Pulumi", "nobody means 511 by 0777"),
    ("a date, which Pulumi writes", "2026-01-02 becomes 2026-01-02 00:00:00 +0000 UTC"),
    ("without loss", "numbers above 2^53 are another number to JavaScript and Go's float64"),
    ("JSON cannot express", "Pulumi refuses .nan and .inf where it writes JSON"),
    ("which Pulumi reads as", "a key such as 0x10 becomes 16"),
    ("a key that is", "no text, or a text that changes"),
    ("a number with '_'", "._5 is a number to no other reader"),
    ("the tag ", "a tag may change a value, and Pulumi ignores most of them"),
    ("a second time", "a key twice; Pulumi refuses nearly all of them"),
    ("has no value", "Pulumi hands over an empty text"),
    ("secure: without", "Pulumi takes it for a plain object"),
    ("an encrypted value inside", "the program has secrets only at the top"),
    ("without a namespace", "Pulumi adds the project's; one form is enough"),
    ("of another namespace", "Pulumi hands it to nobody"),
    ("beside config:", "Pulumi ignores it"),
    ("a second document", "Pulumi ignores it"),
    ("the unknown key", "Pulumi ignores it"),
    ("looks like a space", "a text that nobody means"),
)
"""What we refuse and Pulumi may accept: a piece of the message, and why."""


@pytest.fixture(scope="module")
def pulumi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that reads a stack file with Pulumi: its keys, or the error."""
    folder = tmp_path_factory.mktemp("reader")
    command, _ = vendor.pulumi(Progress())
    (folder / "backend").mkdir()
    (folder / "Pulumi.yaml").write_text("name: k3s-gpu-sharing\nruntime: python\n")
    environment = os.environ | {
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}/backend",
        "PULUMI_CONFIG_PASSPHRASE": "reader",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    assert run("stack", "init", "t", "--non-interactive").returncode == 0

    def read(text: str) -> Mapping[str, Any] | str:
        (folder / "Pulumi.t.yaml").write_bytes(text.encode())
        done = run("config", "--json", "--stack", "t")
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    return read


def ours(folder: Path, text: str) -> dict[str, Any] | list[str]:
    """Our keys of a file, or what was found wrong with it."""
    file = folder / "Pulumi.t.yaml"
    file.write_bytes(text.encode())
    try:
        return read_keys(file)[0]
    except s.SettingsError as refused:
        return [problem.found for problem in refused.problems]


def differences(mine: dict[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """A line for each key whose value differs. Text counts as text, and a number by its value."""
    for key, value in mine.items():
        read = theirs[NAMESPACE + key]["value"]
        if not isinstance(value, str):
            read = json.loads(read)
        if json.dumps(read, sort_keys=True) != json.dumps(value, sort_keys=True):
            yield f"{key}: ours {value!r}, Pulumi's {read!r}"


def entry(number: int, value: str) -> str:
    return f"  {NAMESPACE}c{number}: " + textwrap.indent(value, "    ").lstrip(" ") + "\n"


def test_values_are_those_that_pulumi_reads(tmp_path: Path, pulumi: Any) -> None:
    entries = [entry(number, value) for number, value in enumerate(yaml_corpus.values(VALUES))]
    accepted = [one for one in entries if isinstance(ours(tmp_path, f"config:\n{one}"), dict)]
    assert len(accepted) > VALUES // 2
    for start in range(0, len(accepted), PER_FILE):
        text = "config:\n" + "".join(accepted[start : start + PER_FILE])
        mine, theirs = ours(tmp_path, text), pulumi(text)
        assert isinstance(mine, dict) and not isinstance(theirs, str), (mine, theirs, text)
        assert list(differences(mine, theirs)) == []


def test_mutated_stack_files_are_read_as_pulumi_reads_them(tmp_path: Path, pulumi: Any) -> None:
    accepted = [text for text in yaml_corpus.mutated(FILES) if isinstance(ours(tmp_path, text), dict)]
    assert len(accepted) > FILES // 10
    for text in accepted:
        mine, theirs = ours(tmp_path, text), pulumi(text)
        assert isinstance(mine, dict) and not isinstance(theirs, str), (theirs, text)
        assert list(differences(mine, theirs)) == []


def test_every_refusal_of_what_pulumi_accepts_has_a_reason(tmp_path: Path, pulumi: Any) -> None:
    refused = {}
    for number, value in enumerate(yaml_corpus.values(VALUES)):
        text = f"config:\n{entry(number, value)}"
        found = ours(tmp_path, text)
        if isinstance(found, list) and not any(piece in line for piece, _ in STRICTER for line in found):
            refused.setdefault(found[0].split(",")[0], text)
    assert refused
    assert [text for text in refused.values() if not isinstance(pulumi(text), str)] == []
