"""Rendering: what a script is sent as, and that no shell trips over it."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from tests.unit.hosts import sudo
from tests.unit.hosts.shells import ALL, SHELLS

JOBS = sorted(path.stem for path in Path(scripts.__file__).parent.glob("*.sh"))


def sh(script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], input=stdin, capture_output=True, text=True, timeout=20)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "source", lambda job: 'printf %s "$TEXT"\n')


@pytest.mark.parametrize("text", ["plain", "it's", 'say "hi"', "a\nb", "$HOME `id` \\n", "", "K10::x"])
def test_variables_reach_the_script_as_they_are(echo: None, text: str):
    assert sh(scripts.render("job", TEXT=text)).stdout == text


def test_sudo_wraps_the_whole_script(echo: None):
    words = shlex.split(scripts.as_root(scripts.render("job", TEXT="it's")))
    assert words[:5] == ["exec", "sudo", "-n", "/bin/sh", "-c"]
    assert sh(words[5]).stdout == "it's"


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("rest", ["", "K10::token", "two\nlines\n"])
def test_sudos_password_comes_first_on_stdin_and_the_script_gets_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: bool, rest: str
):
    sudo.install(tmp_path, monkeypatch, free=free)
    script = scripts.as_root("cat\n", password=True)
    done = sh(script, scripts.password_stdin("sesame\n", rest))
    assert (done.returncode, done.stdout, done.stderr) == (0, rest, "")
    assert "sesame" not in script + sudo.arguments(tmp_path)


def test_a_wrong_password_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sudo.install(tmp_path, monkeypatch, free=False)
    done = sh(scripts.as_root("echo ran\n", password=True), scripts.password_stdin("wrong", "token"))
    assert done.returncode == 1 and done.stdout == "" and "token" not in done.stderr


def test_same_input_same_text():
    first, second = (scripts.render("run-uninstall", PROJECT="p", STACK="s", HOST="h") for _ in range(2))
    assert first == second


def test_a_name_that_sh_would_not_take_is_refused():
    with pytest.raises(ValueError, match="not-a-name"):
        scripts.render("forget", **{"not-a-name": "x"})


@pytest.mark.skipif("CI" not in os.environ, reason="one's own computer may lack some")
def test_ci_has_every_shell():
    assert list(ALL) == SHELLS


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_parses(job: str, shell: str):
    script = scripts.as_root(scripts.render(job, HOST="gpu-1"), password=True)
    script += scripts.render(job, HOST="gpu-1")
    checked = subprocess.run([*shell.split(), "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("job", JOBS)
def test_a_machine_gets_one_text(job: str):
    assert "\n. ./" not in scripts.source(job)


@pytest.mark.parametrize("job", JOBS)
def test_comments_stay_here(job: str):
    # So that a line that begins with # is a comment, of sh or of awk, and no text.
    assert "<<" not in scripts.source(job)
    assert not [line for line in scripts.render(job).splitlines() if line.lstrip().startswith("#")]


def test_what_a_machine_keeps_is_readable_there():
    assert scripts.source("uninstall") in shlex.split(
        scripts.render("converge", CLEAN=scripts.source("uninstall")).split("CLEAN=")[1]
    )


@pytest.mark.parametrize("job", JOBS)
def test_scripts_are_strict_and_private(job: str):
    script = scripts.render(job)
    assert script.startswith("set -eu\numask 077\n")


def test_the_clean_ward_without_anything_of_ours_does_nothing():
    done = sh(scripts.render("run-uninstall", PROJECT="p", STACK="s", HOST="gpu-1"))
    assert done.returncode == 0 and "nothing of ours" in done.stdout


@pytest.mark.parametrize(("host_key", "status"), [("ssh-ed25519 AAAA", 0), ("", 1)])
def test_a_server_that_joins_in_this_run_is_not_asked_who_came_back(
    tmp_path: Path, host_key: str, status: int
):
    script = scripts.render("cluster", "delete-node", HOST="server-1", HOST_KEY=host_key)
    done = sh(script.replace("/usr/local/bin/k3s", str(tmp_path / "k3s")))
    assert done.returncode == status and (done.stderr == "") == (status == 0)
