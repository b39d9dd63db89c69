"""Writes docs/reference/team-permissions.md from the table of tools.team_permissions.

`python -m tools.team_permissions_reference` writes the page; `make reference` calls it.
"""

from pathlib import Path

from tools.team_permissions.action import WHO, Action
from tools.team_permissions.table import ACTIONS, TABLE

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/team-permissions.md"

HEAD = f"""\
# Team permissions

Written by `make reference`; do not edit. Who may do what where [teams](../explanation/teams.md) share cards:
{len(ACTIONS)} requests, each by {len(WHO)} identities, about the namespace of the member's team. `make e2e
E2E=rehearsal/tests/e2e/test_team_safety.py` asks a real API server for every cell
([level 3](../explanation/verification.md)), and compares what refused a request, too.

The last column names what refuses the request to a member: a part of Kubernetes (RBAC, Pod Security, an
admission plugin, validation), a ResourceQuota, or an admission policy of this program. Policies, Pod Security
and quotas hold in the namespaces of teams for everybody, administrators included. A member of another team
and a pod's own ServiceAccount lack the right (RBAC). A former member's token is not recognised.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(f"## {heading}\n\n{_table(actions)}" for heading, actions in TABLE.items())])


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())


def _table(actions: tuple[Action, ...]) -> str:
    head = ["request", *WHO.values(), "a member is refused by"]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for action in actions:
        cells = ["yes" if who in action.allowed else "no" for who in WHO]
        rows.append(f"| {' | '.join([action.title, *cells, action.holder])} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
