"""Rendering of scripts, and that every shell accepts them."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from k3sgpu.timeouts import SCRIPT_TIMEOUTS
from tests.unit.hosts import sudo
from tests.unit.hosts.shells import ALL, LOGIN_SHELLS, OTHERS, SHELLS

FOLDER = Path(scripts.__file__).parent
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.sh"))
PARTS = sorted(f"parts/{path.stem}" for path in FOLDER.glob("parts/*.sh"))


def sh(script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], input=stdin, capture_output=True, text=True, timeout=20)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "source", lambda script: 'printf %s "$TEXT"\n')


@pytest.mark.parametrize("text", ["plain", "it's", 'say "hi"', "a\nb", "$HOME `id` \\n", "", "K10::x"])
def test_variables_reach_the_script_unchanged(echo: None, text: str):
    assert sh(scripts.render("job", TEXT=text)).stdout == text


def test_sudo_wraps_the_whole_script(echo: None):
    words = shlex.split(scripts.as_root(scripts.render("job", TEXT="it's")))
    assert words[:5] == ["exec", "sudo", "-n", "/bin/sh", "-c"]
    assert sh(words[5]).stdout == "it's"


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
@pytest.mark.parametrize(
    "text", ["it's", r"a\b\\c\'d", r"\n", "$HOME `id` (id) !x *", 'say "hi"', "''", "a\nb\\", ""]
)
def test_login_shell_of_any_kind_starts_sh_with_the_whole_script(shell: str, text: str):
    script = f'[ -z "$BASH$ZSH_NAME" ]; status=1; printf %s {shlex.quote(text)}'
    done = subprocess.run(
        [*shell.split(), "-c", scripts.under_sh(script)], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_login_shell_of_any_kind_passes_every_script_unchanged(shell: str, name: str):
    script = scripts.render(name, HOST="gpu-1")
    line = scripts.under_sh(script).replace("exec /bin/sh -c", "exec printf %s", 1)
    assert subprocess.run([*shell.split(), "-c", line], capture_output=True, text=True).stdout == script


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("rest", ["", "K10::token", "two\nlines\n"])
def test_script_reads_stdin_after_the_sudo_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: bool, rest: str
):
    sudo.install(tmp_path, monkeypatch, free=free)
    script = scripts.as_root("cat\n", password=True)
    done = sh(script, scripts.password_stdin("sesame\n", rest))
    assert (done.returncode, done.stdout, done.stderr) == (0, rest, "")
    assert "sesame" not in script + sudo.arguments(tmp_path)


def test_wrong_sudo_password_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sudo.install(tmp_path, monkeypatch, free=False)
    done = sh(scripts.as_root("echo ran\n", password=True), scripts.password_stdin("wrong", "token"))
    assert done.returncode == 1 and done.stdout == "" and "token" not in done.stderr


def test_same_input_renders_the_same_text():
    first, second = (scripts.render("run-uninstall", PROJECT="p", STACK="s", HOST="h") for _ in range(2))
    assert first == second


def test_invalid_variable_name_is_refused():
    with pytest.raises(ValueError, match="not-a-name"):
        scripts.render("drain", **{"not-a-name": "x"})


@pytest.mark.skipif("CI" not in os.environ, reason="a developer's computer may lack some")
def test_ci_has_every_shell():
    assert list(ALL) == SHELLS
    assert list(OTHERS) == [shell for shell in LOGIN_SHELLS if shell in OTHERS]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_parses_every_script(name: str, shell: str):
    script = scripts.as_root(scripts.render(name, HOST="gpu-1"), password=True)
    script += scripts.render(name, HOST="gpu-1")
    checked = subprocess.run([*shell.split(), "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_rendered_script_includes_its_parts(name: str):
    assert "\n. ./" not in scripts.source(name)


def test_every_part_is_included_by_a_script():
    texts = "".join((FOLDER / f"{name}.sh").read_text() for name in SCRIPTS)
    assert [part for part in PARTS if f"\n. ./{part}.sh\n" not in texts] == []


@pytest.mark.parametrize("part", PARTS)
def test_part_alone_does_nothing(part: str):
    variables = {"HOST": "gpu-1", "ROLE": "agent", "VERSION": "v1.36.2+k3s1"}
    done = sh(scripts.render(part, **variables))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_script_gets_the_timeouts_that_it_uses():
    assert "DRAIN_REMOVED_SECONDS=120\n" in scripts.render("drain", HOST="gpu-1")
    assert "DOWNLOAD_SECONDS" not in scripts.render("drain", HOST="gpu-1")


def test_every_script_timeout_is_used():
    rendered = "".join(scripts.source(name) for name in SCRIPTS)
    assert [name for name in SCRIPT_TIMEOUTS if f"\n{name}=" not in rendered] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_rendered_script_has_no_comments(name: str):
    # Without here-documents a line that begins with # is a comment, of sh or of awk, and no text.
    assert "<<" not in scripts.source(name)
    assert not [line for line in scripts.render(name).splitlines() if line.lstrip().startswith("#")]


@pytest.mark.parametrize("name", ["converge", "drain", "delete-node", "label-nodes"])
def test_command_runs_the_staged_script_with_its_variables(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scripts, "SCRIPTS_FOLDER", str(tmp_path))
    monkeypatch.setattr(scripts, "staged_text", lambda script: 'printf %s "$TEXT"\n')
    monkeypatch.setattr(scripts, "staged_sha256", scripts.staged_sha256.__wrapped__)
    text = scripts.run_staged(name, "gpu-1", TEXT="it's", DATABASE="")
    (tmp_path / f"{name}-{scripts.staged_sha256(name)}.sh").write_text(scripts.staged_text(name))
    assert sh(text).stdout == "it's" and "DATABASE=''\n" in text


@pytest.mark.parametrize("content", [None, "echo another\n"])
def test_missing_or_changed_staged_script_is_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scripts, "SCRIPTS_FOLDER", str(tmp_path))
    if content:
        (tmp_path / f"drain-{scripts.staged_sha256('drain')}.sh").write_text(content)
    done = sh(scripts.run_staged("drain", "server-1", HOST="gpu-1"))
    assert done.returncode == 1 and done.stdout == ""
    assert f"server-1: {tmp_path}/drain-" in done.stderr and "remedy: raise k3s.generation" in done.stderr


@pytest.mark.parametrize("name", ["facts", "uninstall"])
def test_only_staged_scripts_can_be_called(name: str):
    with pytest.raises(ValueError, match=name):
        scripts.run_staged(name, "gpu-1")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_strict_and_private(name: str):
    assert scripts.render(name).startswith("set -eu\numask 077\n")


def test_uninstall_of_an_untouched_host_does_nothing():
    done = sh(scripts.render("run-uninstall", PROJECT="p", STACK="s", HOST="gpu-1"))
    assert done.returncode == 0 and "nothing of this program" in done.stdout


@pytest.mark.parametrize(("host_key", "status"), [("ssh-ed25519 AAAA", 0), ("", 1)])
def test_server_without_k3s_deletes_no_node_of_a_replaced_machine(tmp_path: Path, host_key: str, status: int):
    script = scripts.render("delete-node", HOST="server-1", HOST_KEY=host_key)
    done = sh(script.replace("/usr/local/bin/k3s", str(tmp_path / "k3s")))
    assert done.returncode == status and (done.stderr == "") == (status == 0)
