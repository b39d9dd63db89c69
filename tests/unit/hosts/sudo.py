"""A fake sudo: it asks for the password `sesame` as sudo does, and records its arguments."""

import os
from pathlib import Path

import pytest

SCRIPT = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$0.calls"
mode=terminal
while :; do
    case $1 in
    -k) shift ;;
    -n) mode=never; shift ;;
    -S) mode=stdin; shift ;;
    -p) shift 2 ;;
    *) break ;;
    esac
done
[ ! -e "$0.free" ] || exec "$@"
[ $mode = stdin ] || { echo "sudo: a password is required" >&2; exit 1; }
tries=0
while [ $tries -lt 3 ] && IFS= read -r line; do
    [ "$line" != sesame ] || exec "$@"
    tries=$((tries + 1))
done
echo "sudo: $tries incorrect password attempt" >&2
exit 1
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, free: bool) -> None:
    """Puts the fake and an `id` of another user than root first in PATH. `free`: it asks for no password."""
    for name, text in {"sudo": SCRIPT, "id": "#!/bin/sh\necho 1000\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    if free:
        (folder / "sudo.free").touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def arguments(folder: Path) -> str:
    """The arguments of every call, one a line."""
    return (folder / "sudo.calls").read_text()
