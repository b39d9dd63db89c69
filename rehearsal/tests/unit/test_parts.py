"""The parts of the tool box are made side by side, with a plan; released programs are checked."""

import hashlib
import http.server
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, golang, parts, releases, toolbox
from rehearsal.toolchain.parts import Part, make_all, seconds_left
from rehearsal.toolchain.releases import Release


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home folder, so that the real cache is left alone."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)


def part(
    name: str, seconds: float, *after: str, there: bool = False, fails: bool = False, takes: float = 0.05
) -> Part:
    def make(progress: Progress) -> str:
        time.sleep(takes)
        if fails:
            raise RehearsalError(f"no {name}")
        return f"made {name}"

    return Part(name, f"building {name}", seconds, there, make, after)


def test_a_part_waits_for_what_it_needs():
    made: list[str] = []
    listed = [
        Part(name, name, 1, False, lambda _, name=name: made.append(name), after)
        for name, after in (("last", ("first", "second")), ("second", ("first",)), ("first", ()))
    ]
    make_all(listed, Progress(io.StringIO()))
    assert made == ["first", "second", "last"]


def test_plan_tells_what_is_missing_and_what_is_left():
    said = io.StringIO()
    listed = [part("a", 240), part("b", 60), part("c", 60, "b"), part("d", 600, there=True)]
    assert make_all(listed, Progress(said))["d"] == "made d"
    first, *lines = said.getvalue().splitlines()
    assert first == "to be made, once: 3 parts, 2 at a time, in about 4 min"
    assert lines[:3] == ["   4 min  building a", "   1 min  building b", "   1 min  building c"]
    assert "building c; that was the last" in lines[-1]
    assert parts.read_durations().keys() == {"a", "b", "c"}


def test_failure_lets_parts_beside_it_end():
    said = io.StringIO()
    listed = [part("bad", 1, fails=True, takes=0), part("good", 1, takes=1), part("later", 1, "good")]
    with pytest.raises(RehearsalError, match="no bad"):
        make_all(listed, Progress(said))
    assert "building good;" in said.getvalue()
    assert "building later;" not in said.getvalue()


def test_remaining_time_follows_workers_and_needs():
    long, short, needs_long = part("long", 60), part("short", 20), part("more", 30, "long")
    assert seconds_left([long, short, needs_long], {}, 2, lambda one: one.seconds) == 90
    assert seconds_left([short, needs_long], {"long": 5}, 1, lambda one: one.seconds) == 55


@pytest.mark.parametrize("real_nodes", [False, True])
def test_every_part_needs_parts_that_exist(real_nodes: bool):
    listed = toolbox.list_parts(real_nodes)
    names = [one.name for one in listed]
    assert len(set(names)) == len(names)
    assert {name for one in listed for name in one.after} <= set(names)


@pytest.fixture
def vendor() -> Iterator[str]:
    """The address of a server with a file "good", its checksum, and a file "slow" that never ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = {"/good": b"program", "/good.sha256": SHA256.encode() + b"  good\n"}.get(self.path)
            if content is None and self.path != "/slow":
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content or b"")
            while self.path == "/slow" and not stopped.wait(0.05):
                self.wfile.write(b"x" * releases.CHUNK)

        def log_message(self, format: str, *args: object) -> None:
            pass

    stopped = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        stopped.set()
        server.shutdown()


SHA256 = hashlib.sha256(b"program").hexdigest()


@pytest.mark.parametrize("pinned", [SHA256, ""])
def test_released_program_is_checked_and_executable(vendor: str, tmp_path: Path, pinned: str):
    releases.fetch_all([Release("tool", f"{vendor}/good", pinned)], tmp_path, 5)
    assert (tmp_path / "tool").read_bytes() == b"program"
    assert (tmp_path / "tool").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("path", "pinned", "message"),
    [
        ("good", "0" * 64, "found a file with SHA-256 .*, expected 000"),
        ("gone", SHA256, "gone: .*404"),
        ("gone", "", "gone.sha256: .*404"),
        ("slow", SHA256, r"slow: \d.* MiB in .*, which is too slow"),
    ],
)
def test_bad_release_is_refused(vendor: str, tmp_path: Path, path: str, pinned: str, message: str):
    with pytest.raises(RehearsalError, match=message):
        releases.fetch_all([Release("tool", f"{vendor}/{path}", pinned)], tmp_path, 0.3)


def test_program_is_built_where_its_vendor_is_out_of_reach(monkeypatch: pytest.MonkeyPatch):
    closed = (Release("kwok", "http://127.0.0.1:1/kwok", SHA256),)
    monkeypatch.setitem(releases.RELEASES, "kwok", closed)
    monkeypatch.setattr(golang, "compile_into", lambda place, *_: (place / "kwok").write_text("built"))
    said = io.StringIO()
    place = releases.prepare(golang.KWOK, Progress(said))
    assert (place / "kwok").read_text() == "built"
    assert "kwok is built, because its release cannot be fetched" in said.getvalue()
    assert not list(cache.folder().glob("released-*-*"))
