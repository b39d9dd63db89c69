"""Writes docs/reference/checks.md from doctor's registry.

`python -m tools.checks_reference` writes the page; `make reference` calls it.
"""

from pathlib import Path

from k3sgpu.doctor import registry
from k3sgpu.doctor.check import Check

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/checks.md"

HEAD = """\
# Checks

Written by `make reference` from doctor's registry; do not edit. The
[preflight](../guides/machines-and-ssh.md#preflight) and `doctor hosts` run these checks on every host. An
error ends the run before anything is changed; a warning does not. The report of a problem has the whole
remedy, with the host's name and values. Skip a check by listing its name under `waive`.
"""


def page() -> str:
    """The whole page as Markdown."""
    groups = {
        "Connection": registry.CONNECTION_CHECKS,
        "One host": registry.MACHINE_CHECKS,
        "Hosts compared": registry.CROSS_CHECKS,
    }
    return "\n".join([HEAD, *(f"## {title}\n\n{_table(checks)}" for title, checks in groups.items())])


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())


def _table(checks: tuple[Check, ...]) -> str:
    rows = ["| check | expects | severity | part of the remedy | can be waived |", "|---|---|---|---|---|"]
    for check in checks:
        cells = (
            f"`{check.name}`",
            check.description,
            " or ".join(sorted(check.severities)),
            f"`{check.remedy}`",
            "yes" if check.waivable else "no",
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
