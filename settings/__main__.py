"""`python -m settings` writes stack.schema.json, the JSON Schema that editors read."""

import json
from pathlib import Path

from .json_schema import stack_schema

FILE = Path(__file__).with_name("stack.schema.json")

if __name__ == "__main__":
    FILE.write_text(json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n")
