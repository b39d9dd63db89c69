"""Write k3sgpu/settings/stack.schema.json, the JSON Schema of stack files, which editors read."""

import argparse
import json
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "settings" / "stack.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    """Writes the schema. Returns the exit status: 0."""
    from k3sgpu.settings.schema import stack_schema

    FILE.write_text(json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0
