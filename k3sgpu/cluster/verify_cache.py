"""The nodes that have passed a verification: when a node is added, the others are not verified again.

`jobs verify` prints it on stdout with the verdicts, and Pulumi passes it to the next run as
PULUMI_COMMAND_STDOUT. A run that fails prints none: the next one goes on from the last run that succeeded.
"""

import json
from collections.abc import Mapping

from k3sgpu.digest import digest
from k3sgpu.handoff.environment import MAX_CHARACTERS
from k3sgpu.handoff.jobs import VerifyPlan

_DIGEST_LENGTH = 8
"""Hexadecimal digits: the output for all nodes has a limit."""
_ROW_OVERHEAD = 20
"""Characters of a row without name and verdict: the digest and punctuation."""
_CUT = " ..."


def node_digests(plan: VerifyPlan, sources: str) -> dict[str, str]:
    """Returns, by node, a digest of what its verdict depends on.

    `sources`: a text that changes with what the verdicts of all nodes depend on.
    """
    common = [plan["image"], plan["generation"], sources]
    return {
        node["name"]: digest([common, node["resource"], node["offer"]], _DIGEST_LENGTH)
        for node in plan["nodes"]
    }


def write_cache(verdicts: Mapping[str, str], passed: Mapping[str, str]) -> str:
    """The verdicts by node, and for those in `passed` the digest with which they passed."""
    rows = {
        node: [verdict, passed[node]] if node in passed else [verdict] for node, verdict in verdicts.items()
    }
    return json.dumps(rows, separators=(",", ":"), sort_keys=True)


def read_cache(text: str) -> dict[str, str]:
    """Returns, by node, the digests with which nodes passed; empty if `text` is not what write_cache made."""
    try:
        rows = json.loads(text)
        return {node: row[1] for node, row in rows.items() if isinstance(row, list) and len(row) == 2}
    except (ValueError, AttributeError):
        return {}


def cut_verdict(verdict: str, plan: VerifyPlan) -> str:
    """Cuts a verdict so that Pulumi can pass the verdicts of all nodes to the next run."""
    longest_name = max((len(node["name"]) for node in plan["nodes"]), default=0)
    room = MAX_CHARACTERS // max(len(plan["nodes"]), 1) - longest_name - _ROW_OVERHEAD - len(_CUT)
    text = verdict
    while text and len(json.dumps(text)) > max(room, 1):
        text = text[: len(text) * 9 // 10]
    return verdict if text == verdict else text + _CUT
