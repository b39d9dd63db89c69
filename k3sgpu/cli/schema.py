"""`python -m k3sgpu schema` writes stack.schema.json, the JSON Schema that editors read."""

import json
from pathlib import Path

from k3sgpu.settings.json_schema import stack_schema

FILE = Path(__file__).resolve().parents[1] / "settings" / "stack.schema.json"


def main(arguments: list[str]) -> int:
    """Writes the schema."""
    FILE.write_text(json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0
