"""The catalogue of faults, the page that is written of it, and the search for secrets: without machines."""

import base64
import dataclasses
import re
import subprocess
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

import pytest

from rehearsal.faults import leaks, table
from rehearsal.faults.catalogue import CATALOGUE, SAMPLE
from rehearsal.faults.fault import Fault, Scope, When
from rehearsal.faults.parallel import run_scopes_in_parallel
from rehearsal.faults.run import Result
from rehearsal.faults.selection import order_for_reuse, select
from rehearsal.process import RehearsalError

SECRET = "K10?swordfish/of+the=house"
ENTRIES = list(CATALOGUE.values())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_says_what_is_done_what_is_seen_and_how_it_heals(entry: Fault):
    assert entry.description and not entry.description.endswith(".")
    assert entry.remedy and 0 < entry.max_seconds <= 300
    assert entry.expected_output or not entry.fails
    for words in entry.expected_output:
        re.compile(words)


def test_the_sample_and_what_is_picked():
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


def test_a_destroy_makes_room_for_the_next_first_up():
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


def passing(names: Sequence[str], told: Connection) -> None:
    """In the place of a lane: every entry passes."""
    for name in names:
        told.send((name, 1.0, ""))


def ended(names: Sequence[str], told: Connection) -> None:
    """In the place of a lane that ends before its last entry does."""
    for name in names[:-1]:
        told.send((name, 1.0, ""))


def test_settings_run_beside_each_other_each_in_its_order():
    chosen = order_for_reuse(ENTRIES)
    results = [result.fault for result in run_scopes_in_parallel(chosen, passing)]
    for scope in ("k3s", "full"):
        assert [one for one in results if one.scope == scope] == [one for one in chosen if one.scope == scope]


def test_a_lane_that_ends_too_early_is_no_success():
    first, second = ENTRIES[:2]
    results = run_scopes_in_parallel([first, second], ended)
    assert next(results).fault is first
    with pytest.raises(RehearsalError, match=f"not run, .*: {second.name}; see above"):
        next(results)


def test_the_page_keeps_rows_of_entries_that_are_still_the_same(tmp_path: Path):
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


def test_what_may_hold_secrets_must_be_roots_alone(tmp_path: Path):
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
