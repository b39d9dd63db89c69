"""The README: its length, its stack file, and the commands of `make`."""

import re
import subprocess
from pathlib import Path

import yaml

from k3sgpu import settings

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
NAMESPACE = "k3s-gpu-sharing:"


def test_stack_file_of_the_readme_is_accepted():
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    config = yaml.safe_load(text.replace("installScriptSha256: ...", f"installScriptSha256: {'a' * 64}"))[
        "config"
    ]
    assert all(key.startswith(NAMESPACE) for key in config)
    parsed = settings.parse({key.removeprefix(NAMESPACE): value for key, value in config.items()})
    assert [node.name for node in parsed.nodes] == ["gpu-1", "gpu-2", "server-1"]


def test_readme_has_at_most_150_lines():
    assert len(README.splitlines()) <= 150


def test_every_make_target_is_documented():
    targets = set(re.findall(r"^([a-z0-9]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    page = (ROOT / "docs/reference/cli.md").read_text()
    assert set(re.findall(r"^\| `make ([a-z0-9]+)", page, re.MULTILINE)) == targets - {"help"}


def test_make_fit_asks_a_cluster_only_with_live():
    def command(*words: str) -> str:
        done = subprocess.run(
            ["make", "--dry-run", "--no-print-directory", "fit", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[-1].strip()

    alone = ".venv/bin/python -m k3sgpu fit --file Pulumi.dev.yaml"
    assert command() == alone
    assert command("SVG=a.svg").endswith(" --svg a.svg")
    asked, _, fit = command("LIVE=1").partition(" | ")
    assert asked.endswith("get nodes,pods --all-namespaces --output json")
    assert fit == f"{alone} --cluster -"
