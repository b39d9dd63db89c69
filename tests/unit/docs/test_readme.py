"""What the README shows has to hold."""

import re
import subprocess
from pathlib import Path

import yaml

from k3sgpu import settings

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
NAMESPACE = "k3s-gpu-sharing:"


def test_its_stack_file_is_accepted():
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    config = yaml.safe_load(text.replace("installScriptSha256: ...", f"installScriptSha256: {'a' * 64}"))[
        "config"
    ]
    assert all(key.startswith(NAMESPACE) for key in config)
    parsed = settings.parse({key.removeprefix(NAMESPACE): value for key, value in config.items()})
    assert [node.name for node in parsed.nodes] == ["gpu-1", "gpu-2", "server-1"]


def test_its_commands_exist():
    targets = set(re.findall(r"^([a-z0-9]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9]+)", README)) | set(
        re.findall(r"^make ([a-z0-9]+)", README, re.MULTILINE)
    )
    assert named == targets - {"help"}


def test_make_fit_asks_a_cluster_only_when_told_to():
    def command(*words: str) -> str:
        told = subprocess.run(
            ["make", "--dry-run", "--no-print-directory", "fit", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return told.stdout.splitlines()[-1].strip()

    alone = ".venv/bin/python -m k3sgpu fit --file Pulumi.dev.yaml"
    assert command() == alone
    assert command("SVG=a.svg").endswith(" --svg a.svg")
    asked, _, fit = command("LIVE=1").partition(" | ")
    assert asked.endswith("get nodes,pods --all-namespaces --output json")
    assert fit == f"{alone} --cluster -"
