"""Probes of the `command` plugin: local and remote commands through a life with changes and failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncssh
import pulumi
from pulumi_command import local, remote

from rehearsal.tests.e2e.probes.probe import Probe, Program, Step, Surroundings

# Nothing listens on it: the port of the discard protocol, which nobody serves any more.
DEAD_PORT = 9


def connection(around: Surroundings, **changed: Any) -> Any:
    """How the probes' machine is reached; few and short dials, so that failures come soon."""
    reached = {
        "host": "127.0.0.1",
        "port": around.machine.port,
        "user": "root",
        "private_key": pulumi.Output.secret(around.machine.private_key),
        "host_key": around.machine.host_key,
        "dial_error_limit": 1,
        "per_dial_timeout": 5,
    }
    return {key: value for key, value in (reached | changed).items() if value is not None}


def on_machine(
    name: str, around: Surroundings, *, depends_on: Any = None, at: Any = None, **arguments: Any
) -> Any:
    """A remote command as this project writes them."""
    arguments.setdefault("add_previous_output_in_env", False)
    options = pulumi.ResourceOptions(depends_on=depends_on)
    return remote.Command(name, connection=at or connection(around), opts=options, **arguments)


def connections(around: Surroundings) -> int:
    """How often somebody connected since the last time this was asked."""
    count = len(around.machine.connections)
    around.machine.connections.clear()
    return count


def _hang_up(around: Surroundings) -> None:
    around.machine.connections.clear()


def written(*names: str) -> Callable[[Surroundings], dict[str, str | None]]:
    """What scripts left in files of these names."""

    def read(around: Surroundings) -> dict[str, str | None]:
        paths = {name: around.folder / name for name in names}
        return {name: path.read_text() if path.exists() else None for name, path in paths.items()}

    return read


def _local_life(text: str, *, broken: str = "true") -> Program:
    def program(around: Surroundings) -> None:
        here = str(around.folder)
        local.Command("plain", create=f"printf 'one\\ntwo\\n\\n'; cat; echo {text} >&2", stdin="given\n\n")
        local.Command("silent", create=f"echo out {text}; echo err >&2", logging=local.Logging.NONE)
        local.Command("only-stderr", create=f"echo out {text}; echo err >&2", logging=local.Logging.STDERR)
        local.Command("secret-stdin", create=f"cat; echo {text}", stdin=pulumi.Output.secret("sesame"))
        local.Command("secret-create", create=pulumi.Output.secret(f"echo {text}"))
        local.Command(
            "surroundings",
            create='pwd; echo "$COLOUR $0"',
            dir=here,
            environment={"COLOUR": text},
            interpreter=["/bin/sh", "-e", "-c"],
        )
        local.Command(
            "previous",
            create=f"echo first {text}",
            update=f'echo "was $PULUMI_COMMAND_STDOUT, now {text}"',
            delete=f'printf %s "$PULUMI_COMMAND_STDOUT" > {here}/deleted',
        )
        local.Command(
            "no-previous",
            create=f"env | grep -c ^PULUMI_COMMAND; echo {text}; true",
            add_previous_output_in_env=False,
        )
        local.Command("only-update", update=f"echo updated {text}")
        local.Command("only-delete", delete=f"echo gone > {here}/only-deleted", environment={"A": text})
        local.Command("can-break", create=f"echo {text}; {broken}")

    return program


def _local_failures(around: Surroundings) -> None:
    loudly: Any = "loudly"
    local.Command("status", create='echo "to\tout"; sleep 0.3; echo é\\\\ >&2; exit 3')
    local.Command("signal", create="echo dying; kill -KILL $$")
    local.Command("no-folder", create="true", dir=f"{around.folder}/nowhere")
    local.Command("no-interpreter", create="true", interpreter=["/nowhere/sh", "-c"])
    local.Command("unknown-logging", create="echo nobody sees this", logging=loudly)


def _wrong_type(around: Surroundings) -> None:
    local.Command("wrong-type", create=pulumi.Output.from_input({"not": "text"}))  # pyright: ignore[reportArgumentType]


def _triggers(around: Surroundings, *triggers: Any, update: str | None = "echo updated") -> None:
    log = f"{around.folder}/order"
    local.Command(
        "triggered",
        create=f"echo create >> {log}",
        update=update,
        delete=f"echo delete >> {log}",
        triggers=list(triggers) or None,
    )


def _outputs_at_preview(
    around: Surroundings, *, text: str = "a", added: bool = False, removed: bool = False
) -> None:
    local.Command("changed", create=f"echo {text}")
    local.Command("added", create="echo a", update="echo b" if added else None)
    local.Command("removed", create="echo a", update=None if removed else "echo b")
    first = local.Command("first", create=f"echo {text}")
    local.Command("follows", create="cat", stdin=first.stdout)


def _remote_life(text: str, *, broken: str = "true") -> Program:
    def program(around: Surroundings) -> None:
        here = around.folder
        plain = on_machine("plain", around, create=f"printf 'one\\n\\n'; echo {text} >&2")
        stdin = on_machine(
            "secret-stdin",
            around,
            create=f"cat; echo {text}",
            stdin=pulumi.Output.secret("sesame"),
            logging=remote.Logging.NONE,
            depends_on=plain,
        )
        on_machine(
            "life",
            around,
            create=f"echo created {text}",
            update=f"echo updated {text}; cat",
            delete=f"cat > {here}/remote-deleted",
            stdin="given",
            logging=remote.Logging.STDOUT,
            depends_on=stdin,
        )
        on_machine("can-break", around, create=f"echo {text}; {broken}", depends_on=stdin)

    return program


def _wards(text: str) -> Program:
    """Commands that cost no connection until their time comes."""

    def program(around: Surroundings) -> None:
        dead = connection(around, port=DEAD_PORT)
        on_machine("never", around, at=dead, stdin=text)
        on_machine("ward", around, delete=f"cat > {around.folder}/ward", stdin=text)
        on_machine("upkeep", around, update=f"echo upkeep {text}")

    return program


def _connection_changes(limit: int) -> Program:
    def program(around: Surroundings) -> None:
        reached = connection(around, dial_error_limit=limit)
        on_machine("with-update", around, at=reached, create="echo create", update="echo update")
        on_machine("without-update", around, at=reached, create="echo create")

    return program


def _remote_failures(around: Surroundings) -> None:
    other = around.machine.other_key
    on_machine("status", around, create='echo "to\tout"; sleep 0.3; echo err >&2; exit 4')
    on_machine("signal", around, create="echo dying; kill -KILL $$")
    on_machine("refused", around, at=connection(around, port=DEAD_PORT), create="true")
    on_machine(
        "wrong-host-key",
        around,
        at=connection(around, host_key=other.export_public_key().decode()),
        create="true",
    )
    key = pulumi.Output.secret(other.export_private_key().decode())
    on_machine("wrong-key", around, at=connection(around, private_key=key), create="true")
    on_machine("no-host-key", around, at=connection(around, host_key="not a key"), create="true")


def _ways(around: Surroundings) -> None:
    """Through a bastion, which is the machine itself, and with keys that have a passphrase."""
    key = asyncssh.import_private_key(around.machine.private_key)
    locked = pulumi.Output.secret(key.export_private_key(passphrase="sesame").decode())
    bastion, dead = connection(around), connection(around, port=DEAD_PORT)
    stranger = connection(around, host_key=around.machine.other_key.export_public_key().decode())
    ways = {
        "through": connection(around, proxy=bastion),
        "locked": connection(around, private_key=locked, private_key_password="sesame"),
        "locked-through": connection(
            around, proxy=connection(around, private_key=locked, private_key_password="sesame")
        ),
        "wrong-passphrase": connection(around, private_key=locked, private_key_password="wrong"),
        "no-passphrase": connection(around, private_key=locked),
        "passphrase-for-nothing": connection(around, private_key_password="sesame"),
        "bastion-with-another-key": connection(around, proxy=stranger),
        "no-bastion": connection(around, proxy=dead),
        "nobody-behind": connection(around, port=DEAD_PORT, proxy=bastion),
    }
    for name, at in ways.items():
        on_machine(name, around, at=at, create="cat", stdin=name)


def _bare_connection(around: Surroundings) -> None:
    """Only what has no default; everything else is filled in. InputError by nobody, so nothing runs."""
    where = {"host": "127.0.0.1", "host_key": around.machine.host_key}
    on_machine("bare", around, at=where, delete="true")


def _any_host_key(around: Surroundings) -> None:
    on_machine("any-host-key", around, at=connection(around, host_key=None), create="echo connected")


def _previous_output(around: Surroundings) -> None:
    on_machine("previous-output", around, create="echo ran", add_previous_output_in_env=None)


def _break(around: Surroundings) -> None:
    (around.folder / "order").unlink(missing_ok=True)


PROBES = (
    Probe(
        "local-life",
        (
            Step("preview", "preview", _local_life("a")),
            Step("create", "up", _local_life("a")),
            Step("again", "up", _local_life("a")),
            Step("preview-change", "preview", _local_life("b")),
            Step("change-fails", "up", _local_life("b", broken="exit 7")),
            Step("heal", "up", _local_life("b")),
            Step("refresh", "refresh", _local_life("b")),
            Step("destroy", "destroy", _local_life("b"), observe=written("deleted", "only-deleted")),
        ),
    ),
    Probe(
        "local-failures",
        (Step("preview", "preview", _local_failures), Step("create", "up", _local_failures)),
    ),
    Probe("wrong-type", (Step("preview", "preview", _wrong_type),)),
    Probe(
        "triggers",
        (
            Step("without", "up", lambda around: _triggers(around), before=_break),
            Step("added", "up", lambda around: _triggers(around, "a"), observe=written("order")),
            Step("changed", "up", lambda around: _triggers(around, "b"), observe=written("order")),
            Step("more", "preview", lambda around: _triggers(around, "b", {"c": 1})),
            Step("update-changed", "preview", lambda around: _triggers(around, "b", update="echo other")),
        ),
    ),
    Probe(
        "outputs-at-preview",
        (
            Step("create", "up", lambda around: _outputs_at_preview(around)),
            Step("change", "preview", lambda around: _outputs_at_preview(around, text="b")),
            Step("add", "preview", lambda around: _outputs_at_preview(around, added=True)),
            Step("remove", "preview", lambda around: _outputs_at_preview(around, removed=True)),
        ),
    ),
    Probe(
        "remote-life",
        (
            Step("preview", "preview", _remote_life("a"), before=_hang_up, observe=connections),
            Step("create", "up", _remote_life("a"), observe=connections),
            Step("again", "up", _remote_life("a"), observe=connections),
            Step("change-fails", "up", _remote_life("b", broken="exit 7"), observe=connections),
            Step("heal", "up", _remote_life("b"), observe=connections),
            Step("refresh", "refresh", _remote_life("b"), observe=connections),
            Step("destroy", "destroy", _remote_life("b"), observe=written("remote-deleted")),
        ),
    ),
    Probe(
        "wards",
        (
            Step("create", "up", _wards("a"), before=_hang_up, observe=connections),
            Step("change", "up", _wards("b"), observe=connections),
            Step("destroy", "destroy", _wards("b"), observe=written("ward")),
        ),
    ),
    Probe(
        "connection-changes",
        (
            Step("create", "up", _connection_changes(1)),
            Step("preview", "preview", _connection_changes(2)),
            Step("change", "up", _connection_changes(2)),
        ),
    ),
    Probe(
        "remote-failures",
        (Step("preview", "preview", _remote_failures), Step("create", "up", _remote_failures)),
    ),
    Probe("ways", (Step("preview", "preview", _ways), Step("create", "up", _ways))),
    Probe("bare-connection", (Step("create", "up", _bare_connection),)),
    Probe("any-host-key", (Step("create", "up", _any_host_key),)),
    Probe("previous-output", (Step("create", "up", _previous_output),)),
)
