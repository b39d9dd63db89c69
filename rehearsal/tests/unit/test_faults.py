"""The catalogue of faults, its page, and the search for secrets, without machines."""

import base64
import dataclasses
import functools
import inspect
import re
import subprocess
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

import pytest

from k3sgpu.problem import Problem
from k3sgpu.report import Report, as_text
from rehearsal.faults import leaks, table
from rehearsal.faults.catalogue import CATALOGUE, SAMPLE
from rehearsal.faults.fault import Fault, Scope, When, host_problem, problem, readable
from rehearsal.faults.parallel import run_scopes_in_parallel
from rehearsal.faults.run import Result
from rehearsal.faults.selection import order_for_reuse, select
from rehearsal.lab import engine
from rehearsal.lab.engine import ROOT
from rehearsal.process import RehearsalError

SECRET = "K10?swordfish/of+the=house"
ENTRIES = list(CATALOGUE.values())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry: Fault):
    assert entry.description and not entry.description.endswith(".")
    assert entry.remedy and 0 < entry.max_seconds <= 300
    assert entry.expected_output or not entry.fails
    for words in entry.expected_output:
        re.compile(words)


def plain_words(pattern: str) -> list[str]:
    """All runs of three plain words in a regular expression; none of them contains what varies."""
    text = re.sub(r"\\[nsSd][*+]?|\[[^]]*\][*+{}\d]*|\{\d+\}|\(\?:.*?\)\S*|\.[*+]", " | ", pattern)
    words = [word if re.fullmatch(r"[A-Za-z']{2,}[,;:?]?", word) else "|" for word in text.split()]
    return [" ".join(three) for three in zip(words, words[1:], words[2:], strict=False) if "|" not in three]


@functools.cache
def product_text() -> str:
    """The product's sources, with literals that were split over lines joined again."""
    sources = [path for folder in ("k3sgpu", "components") for path in (ROOT / folder).rglob("*.*")]
    texts = [path.read_text() for path in sources if path.suffix in (".py", ".sh")]
    joined = re.sub(r'"\s*\n\s*f?"', "", "\n".join([*texts, inspect.getsource(engine)]))
    return " ".join(joined.split())


FOREIGN = (
    "no matches for kind",
    "connect: connection refused",
    "cannot be imported into",
    "invalid --device-id-strategy option",
)
"""Words of Kubernetes, Go, Helm and NVIDIA's plugin in the expected output."""
COMPOSED = ("doctor cluster after", "NVIDIA cards in")
"""Words that the product puts together from two texts."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_expected_output_uses_the_words_of_the_product(entry: Fault):
    product = product_text()
    for pattern in entry.expected_output:
        candidates = plain_words(pattern)
        assert not candidates or any(
            words in product or words in FOREIGN + COMPOSED for words in candidates
        ), pattern


def test_host_problem_matches_the_printed_report():
    problems = [
        Problem("gpu-1", "0 cards", "1 card", "look at dmesg", check="gpu"),
        Problem("gpu-1", "10 s ahead", "the same time", "set it", check="clock"),
        Problem("server-1", "no room", "room", "make room", check="disk"),
    ]
    text = as_text(Report("doctor hosts", {"gpu-1": "10.0.0.1", "server-1": "10.0.0.2"}, problems))
    for host, check, found in (("gpu-1", "clock", "10 s"), ("server-1", "disk", "no room")):
        assert re.search(host_problem(host, check, found), text)
        assert re.search(problem(check, found, "(set it|make room)"), text)
    assert not re.search(host_problem("gpu-1", "disk", "no room"), text)
    assert readable(host_problem("gpu-1", "gpu", r"\d+ cards")) == "gpu-1 … error: gpu: … cards"


def test_faults_are_selected_by_name_by_area_and_by_sample():
    assert set(SAMPLE) <= set(CATALOGUE)
    assert {entry.name for entry in select("", CATALOGUE, SAMPLE)} == set(SAMPLE)
    assert len(select("all", CATALOGUE, SAMPLE)) == len(CATALOGUE)
    first, second = ENTRIES[:2]
    assert {entry.name for entry in select(f"{first.name},{second.name}", CATALOGUE, SAMPLE)} == {
        first.name,
        second.name,
    }
    assert {entry.area for entry in select(first.area, CATALOGUE, SAMPLE)} == {first.area}
    with pytest.raises(ValueError, match="no fault or area is called nonsense"):
        select(f"{first.name},nonsense", CATALOGUE, SAMPLE)


def one(when: When, scope: Scope = "k3s") -> Fault:
    return dataclasses.replace(ENTRIES[0], when=when, scope=scope)


def test_a_destroy_comes_before_the_next_first_up():
    given = [
        *map(one, ["upgrade", "destroy", "first up", "change", "first up", "first up"]),
        one("change", "full"),
    ]
    assert [(entry.scope, entry.when) for entry in order_for_reuse(given)] == [
        ("k3s", "first up"),
        ("k3s", "change"),
        ("k3s", "destroy"),
        ("k3s", "first up"),
        ("k3s", "first up"),
        ("k3s", "upgrade"),
        ("full", "change"),
    ]
    assert [entry.when for entry in order_for_reuse([one("destroy"), one("destroy")])] == [
        "destroy",
        "destroy",
    ]


def passing(names: Sequence[str], results: Connection) -> None:
    """Replaces run_one_scope: every entry passes."""
    for name in names:
        results.send((name, 1.0, ""))


def ending_early(names: Sequence[str], results: Connection) -> None:
    """Replaces run_one_scope: ends before its last entry."""
    for name in names[:-1]:
        results.send((name, 1.0, ""))


def test_scopes_run_in_parallel_each_in_its_order():
    chosen = order_for_reuse(ENTRIES)
    results = [result.fault for result in run_scopes_in_parallel(chosen, passing)]
    for scope in ("k3s", "full"):
        assert [one for one in results if one.scope == scope] == [one for one in chosen if one.scope == scope]


def test_a_process_that_ends_early_is_an_error():
    first, second = ENTRIES[:2]
    results = run_scopes_in_parallel([first, second], ending_early)
    assert next(results).fault is first
    with pytest.raises(RehearsalError, match=f"not run, .*: {second.name}; see above"):
        next(results)


def test_the_page_keeps_results_of_unchanged_entries(tmp_path: Path):
    page = tmp_path / "faults.md"
    first, second, third = ENTRIES[:3]
    catalogue = {entry.name: entry for entry in (first, second, third)}
    table.write(page, [Result(first, 3.4), Result(second, 5, "it | broke")], catalogue, "2026-01-01")
    text = page.read_text()
    assert f"| {first.name} | {first.when}: {first.description} |" in text
    assert f"| 3 s (at most {first.max_seconds}) |" in text and "passed, 2026-01-01" in text
    assert r"**failed**, 2026-01-01: it \| broke" in text
    assert f"{third.name} |" in text and "| not run |" in text
    # Another text of the first entry is another entry; the second is run again; the third never was.
    catalogue[first.name] = dataclasses.replace(first, max_seconds=first.max_seconds + 1)
    table.write(page, [Result(second, 6)], catalogue, "2026-01-02")
    text = page.read_text()
    assert text.count("not run |") == 2 and text.count("passed, 2026-01-02") == 1 and "2026-01-01" not in text
    table.write(page, [], catalogue, "2026-01-03")
    assert "passed, 2026-01-02" in page.read_text()


def forms() -> dict[str, str]:
    return {
        "plain": f"token={SECRET}!",
        **{
            f"base64 after {count} bytes": base64.b64encode(b"x" * count + SECRET.encode() + b"tail").decode()
            for count in range(4)
        },
        "base64 for URLs": base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
        "URL": f"https://host/?token={quote(SECRET, safe='')}",
    }


@pytest.mark.parametrize("form", forms())
def test_a_planted_secret_is_found_in_every_form(form: str, tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/file").write_text(f"before {forms()[form]} after")
    sought = [leaks.Secret.of("the token", SECRET), leaks.Secret.of("another", "not there at all")]
    assert leaks.leaks_in_files(tmp_path, sought, "gpu-1", ()) == ["the token in gpu-1: /deep/file"]


def test_allowed_files_must_be_readable_by_root_only(tmp_path: Path):
    keeper = tmp_path / "etc/rancher/k3s/agent-token"
    keeper.parent.mkdir(parents=True)
    keeper.write_text(SECRET)
    sought = [leaks.Secret.of("the token", SECRET)]
    keeper.chmod(0o644)
    (leak,) = leaks.leaks_in_files(tmp_path, sought, "gpu-1", leaks.ALLOWED_PATHS)
    assert leak.startswith("the token in gpu-1: /etc/rancher/k3s/agent-token, mode 644 of user")
    keeper.chmod(0o600)
    owned_by_root = keeper.stat().st_uid == 0
    assert bool(leaks.leaks_in_files(tmp_path, sought, "gpu-1", leaks.ALLOWED_PATHS)) is not owned_by_root
    assert leaks.leaks_in_files(tmp_path, sought, "here", (), skip="rancher") == []


def test_the_sampler_sees_arguments_environments_and_temporary_files(tmp_path: Path):
    with leaks.sampling(tmp_path / "temporary") as sampler:
        wait = ["/bin/sh", "-c", f"echo; read line # {SECRET}"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(wait, stdin=pipe, stdout=pipe, env={"INNER": SECRET[::-1]})
        try:
            assert process.stdout and process.stdout.readline()  # only now it surely has its arguments
            (tmp_path / "temporary/file").write_text(SECRET)
            sampler.look()
        finally:
            process.communicate(b"\n")
    sought = [leaks.Secret.of("it", SECRET), leaks.Secret.of("its reverse", SECRET[::-1])]
    found = {
        leak for content, whose in sampler.seen.items() for leak in leaks.leaks_in(content, sought, whose)
    }
    assert found == {"it in process arguments", "its reverse in a process's environment"}
    assert any(SECRET.encode() in content for content in sampler.files)
