"""Arguments that several commands share."""

import argparse


def add_file(parser: argparse._ActionsContainer, *, required: bool = False) -> None:
    """Adds `--file`, the stack file that a command reads."""
    parser.add_argument(
        "--file", metavar="FILE", required=required, help="the stack file, for instance Pulumi.dev.yaml"
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """Adds `--json`, for output that programs read."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
