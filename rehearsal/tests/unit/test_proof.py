"""The walk on a real card: its order, what it reads of logs and pods, its report and its stack file."""

import time
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.card_access import CardAccess
from rehearsal.lab.cards import RealCard
from rehearsal.proof import __main__ as command
from rehearsal.proof import card_log, report, versions
from rehearsal.proof.proof_cluster import diagnostics, is_predicted, phases, scheduler_message, starts
from rehearsal.proof.steps import STEPS, door
from rehearsal.proof.steps.changes import rejected_for
from rehearsal.proof.walk import Step, StepResult, walk

CARD = RealCard("0000:01:00.0", "NVIDIA H200", 143771, "580.159.04", 0)
LOG = """\
1 device(s), NVIDIA H200, UUID GPU-1, wrong 0: Test PASSED
{"seconds":1,"launches":1234,"median_ms":0.62,"longest_ms":0.9,"wrong":0}
{"seconds":2,"launches":1200,"median_ms":0.63,"longest_ms":0.9,"wrong":0}
{"seconds":4,"launches":1100,"median_ms":0.64,"longest_ms":0.9,"wrong":0}
"""
PREDICTED = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
PREEMPTION = (
    " no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found."
)
RUN = report.Run(
    date="2026-11-30 15:40",
    cards=["NVIDIA-H200, 143771 MiB"],
    driver="580.159.04",
    versions={"Kubernetes": "v1.36.2"},
    seconds=201.4,
    steps=[
        StepResult("up", "The program runs", "passed", 41.2, ("28 create",)),
        StepResult("labels", "Labels", "failed", 0.5, ("labels of card-1: found <none>, expected *",)),
        StepResult("MPS", "With a drain", "not run", 0.0, ("after labels failed",)),
    ],
)


def step(name: str, done: list[str], **options: Any) -> Step[list[str]]:
    def act(context: list[str], see: Any) -> None:
        context.append(name)
        see(f"{name} done")

    return Step(name, f"shows {name}", act, **options)


def failing(context: list[str], see: Any) -> None:
    see("half done")
    raise ValueError("found 5, expected 6")


def test_steps_after_a_failed_one_are_not_run():
    done: list[str] = []
    recorded: list[int] = []
    steps = (step("one", done), Step("two", "fails", failing), step("three", done))
    results = walk(steps, done, has_card=True, record=lambda so_far: recorded.append(len(so_far)))
    assert [(one.outcome, one.seen) for one in results] == [
        ("passed", ("one done",)),
        ("failed", ("half done", "found 5, expected 6")),
        ("not run", ("after two failed",)),
    ]
    assert done == ["one"] and recorded == [1, 2, 3]


def test_a_walk_may_go_on_after_an_inessential_step():
    done: list[str] = []
    steps = (Step("one", "fails", failing), step("two", done))
    results = walk(steps, done, has_card=True, keep_going=True)
    assert [one.outcome for one in results] == ["failed", "passed"]
    essential = (Step("one", "fails", failing, essential=True), step("two", done))
    results = walk(essential, done, has_card=True, keep_going=True)
    assert [one.outcome for one in results] == ["failed", "not run"]


def test_steps_that_need_a_card_are_left_out_without_one():
    done: list[str] = []
    results = walk((step("one", done, needs_card=True), step("two", done)), done, has_card=False)
    assert [one.outcome for one in results] == ["not run", "passed"] and done == ["two"]


def test_a_step_that_takes_too_long_is_interrupted():
    slow = Step[None]("slow", "waits", lambda context, see: time.sleep(10), seconds=0.1)
    interrupted: list[bool] = []
    (result,) = walk((slow,), None, has_card=True, interrupt=lambda: interrupted.append(True))
    assert interrupted == [True]
    assert result.outcome == "failed" and "was not done after" in result.seen[-1] and result.seconds < 5


def test_step_names_are_different():
    assert len({one.name for one in STEPS}) == len(STEPS)


def test_log_of_a_program_that_computes():
    log = card_log.parse(LOG)
    assert log.passed and log.devices == 1 and log.last_second == 4
    assert card_log.interruptions(log.seconds) == []


def test_log_of_a_program_without_a_card():
    log = card_log.parse("0 device(s): cuInit returned 100 (CUDA_ERROR_NO_DEVICE): Test FAILED\n")
    assert not log.passed and log.devices == 0 and log.verdict.endswith("Test FAILED")
    assert not card_log.parse("").verdict


def test_a_pause_and_wrong_sums_are_interruptions():
    lines = LOG.replace('"seconds":4', '"seconds":9').replace(
        '0.63,"longest_ms":0.9,"wrong":0', '0.63,"wrong":7'
    )
    found = card_log.interruptions(card_log.parse(lines).seconds)
    assert found == ["second 9 follows second 2", "7 wrong sums in second 2"]


def test_the_scheduler_may_add_what_preemption_could_not_do():
    assert is_predicted(PREDICTED + PREEMPTION, PREDICTED) and is_predicted(PREDICTED, PREDICTED)
    assert not is_predicted("0/1 nodes are available: 1 Too many pods.", PREDICTED)
    assert not is_predicted(PREDICTED.removesuffix(".") + ", 1 Too many pods.", PREDICTED)


def test_pods_are_read_as_the_api_describes_them():
    waiting = {"type": "PodScheduled", "status": "False", "message": PREDICTED}
    running = {"state": {"running": {"startedAt": "10:00"}}, "restartCount": 1}
    pods = {
        "a": {"status": {"phase": "Running", "containerStatuses": [running]}},
        "b": {"status": {"phase": "Pending", "conditions": [waiting]}},
    }
    assert phases(pods) == {"Running": 1, "Pending": 1}
    assert starts(pods) == {"a": ("10:00", 1)}
    assert scheduler_message(pods["b"]) == PREDICTED and not scheduler_message(pods["a"])


def test_rejected_pods_are_not_failed_ones():
    rejected = {"status": {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "why"}}
    assert rejected_for([{"status": {"phase": "Failed"}}, rejected]) == "UnexpectedAdmissionError: why"
    assert rejected_for([{"status": {"phase": "Running"}}]) == ""


def test_only_the_diagnostics_of_the_engine_are_quoted():
    printed = ["Updating:", "Diagnostics:", "  error: gpu-1", "Resources:", "    3 unchanged"]
    assert diagnostics(printed) == ["  error: gpu-1"]
    assert diagnostics(printed[:1]) == ["Updating:"]


def test_the_toolkit_gets_both_of_its_options():
    command = door.set_options(CardAccess(frozenset({"volume-mounts"}), envvar=False, mounts=True))
    assert command.endswith(
        "--set accept-nvidia-visible-devices-envvar-when-unprivileged=false"
        " --set accept-nvidia-visible-devices-as-volume-mounts=true"
    )


def test_runs_are_kept_and_the_page_shows_the_newest_first(tmp_path: Path):
    target = tmp_path / "proof.json"
    older = report.Run(date="2026-11-29 10:00", cards=RUN.cards, driver=RUN.driver, steps=RUN.steps[:1])
    report.save(target, [older])
    report.save(target, [*report.load(target), RUN])
    assert report.load(target) == [older, RUN]
    text = (tmp_path / "proof.md").read_text()
    assert "| step | 1 × NVIDIA-H200, 2026-11-30 15:40 | 1 × NVIDIA-H200, 2026-11-29 10:00 |" in text
    assert "| up | 41.2 | 41.2 |" in text and "| MPS | not run | - |" in text
    assert "| labels | **failed** 0.5 | - |" in text and "| all | **failed** 201 | 0 |" in text
    assert "found &lt;none>, expected \\*" in text


def test_a_run_without_steps_has_not_passed():
    assert not report.Run("now", ["NVIDIA-H200"], "580").passed
    assert "No run yet" in report.page([])


@pytest.mark.parametrize(("number", "slices"), [(1, 6), (2, 12)])
def test_the_proofs_stack_file_offers_the_slices_of_all_cards(number: int, slices: int):
    config = command.read_config(command.STACK_FILE)
    command.declare_cards(config, [CARD] * number)
    settings = s.parse({**config, "ssh": {"user": "root", "agent": True}})
    offers = capacity.offers(settings)
    assert sum(offer.resources["nvidia.com/gpu"] for offer in offers) == slices
    assert len({node.address for node in settings.nodes}) == number
    assert {node.gpu.product for node in settings.nodes if node.gpu} == {"NVIDIA-H200"}


def test_every_part_has_a_pinned_version():
    assert all(versions.pinned(folder, module).startswith("v") for folder, module in versions.PINS.values())
