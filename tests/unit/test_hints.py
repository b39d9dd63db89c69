"""The table type from an error's text to a hint."""

from k3sgpu.hints import Hint, find_hint

HINTS = (
    Hint(r"no space left", "on {node}: df -h  # {{}}"),
    Hint(r"space", "never reached"),
    Hint(r"refused$", "start it", found="{node} refuses", expected="{node} answers"),
)


def test_first_matching_hint_wins_and_is_filled_in():
    hint = find_hint(HINTS, "write: no space left on device", node="gpu-1")
    assert hint and hint.advice == "on gpu-1: df -h  # {}"


def test_unknown_error_has_no_hint():
    assert find_hint(HINTS, "timed out", node="gpu-1") is None


def test_hint_becomes_a_problem():
    hint = find_hint(HINTS, "connection refused", node="gpu-1")
    assert hint
    problem = hint.as_problem("cluster-agent-gpu-1")
    assert (problem.where, problem.found, problem.expected, problem.remedy) == (
        "cluster-agent-gpu-1",
        "gpu-1 refuses",
        "gpu-1 answers",
        "start it",
    )
