"""What a subprocess is handed must have the shape that the program gives it."""

from typing import Any

import pytest

from k3sgpu.handoff.expected_state import parse_expected_state
from k3sgpu.handoff.jobs import parse_job, parse_verify_plan
from k3sgpu.problem import InputError
from tests.data.expected_states import EXPECTED

JOB = {"namespace": "n", "name": "j", "uid": "1", "timeoutSeconds": 9}
PLAN = {
    "namespace": "n",
    "nodes": [{"name": "gpu-1", "resource": "nvidia.com/gpu", "offer": "1"}],
    "image": "i:1",
    "strict": True,
    "timeoutSeconds": 9,
    "generation": 1,
}


def test_data_of_the_right_shape_is_returned():
    assert parse_expected_state(EXPECTED) == EXPECTED
    assert parse_job(JOB) == JOB
    assert parse_verify_plan(PLAN) == PLAN


@pytest.mark.parametrize(
    ("parse", "data", "message"),
    [
        (parse_job, None, "the Job to wait for: found None; expected a valid dictionary"),
        (parse_job, {"namespace": "n"}, "the Job to wait for: name: found nothing"),
        (parse_job, {**JOB, "timeoutSeconds": "9"}, "timeoutSeconds: found '9'; expected a valid integer"),
        (parse_job, {**JOB, "name": ["x" * 99]}, "name: found ['xxxxx"),
        (
            parse_verify_plan,
            {**PLAN, "strict": 1},
            "verify plan: strict: found 1; expected a valid boolean",
        ),
        (parse_verify_plan, {**PLAN, "nodes": [{"name": "a"}]}, "nodes.0.resource: found nothing"),
        (parse_expected_state, {**EXPECTED, "nodes": 1}, "nodes: found 1; expected a valid list"),
    ],
)
def test_data_of_another_shape_is_refused_in_one_line_with_its_place(parse: Any, data: Any, message: str):
    with pytest.raises(InputError) as refused:
        parse(data)
    text = str(refused.value)
    assert message in text and "\n" not in text and len(text) < 200
