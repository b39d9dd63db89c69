"""Connections to machines: pinned host keys, and the problem that each failure becomes."""

import asyncio
import socket
from typing import Any

import asyncssh
import pytest

from k3sgpu.handoff.inventory import HostEntry
from k3sgpu.hosts import ssh
from k3sgpu.hosts.ssh import Failure, Login, connect
from k3sgpu.hosts.ssh_command import ssh_command
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.problem import InputError, Problem
from tests.data.inventories import host_entry
from tests.unit.hosts.sshd import (
    ECDSA_HOST_KEY,
    HOST_KEY,
    LOGIN_KEY,
    OTHER_HOST_KEY,
    host_at,
    public_line,
    sshd,
)

UNKNOWN_KEY = asyncssh.generate_private_key("ssh-ed25519")


async def outcome_of(host: HostEntry, key: asyncssh.SSHKey = LOGIN_KEY) -> Failure | None:
    """Connects once: the failure, or None."""
    connection = await connect(host, Login(key))
    if isinstance(connection, Failure):
        return connection
    connection.abort()
    return None


def problem_of(host: HostEntry, key: asyncssh.SSHKey = LOGIN_KEY) -> Problem:
    """The problem of a connection that fails."""
    failure = asyncio.run(outcome_of(host, key))
    assert failure
    return connection_problem(host, failure, public_line(LOGIN_KEY))


def problem_at_server(
    key: asyncssh.SSHKey = LOGIN_KEY, changes: dict[str, Any] | None = None, **server: Any
) -> Problem:
    """The problem of a connection to a server in this process that fails. `changes`: of the host's entry."""

    async def run() -> Problem:
        async with sshd(**server) as port:
            host = host_at(port, **(changes or {}))
            failure = await outcome_of(host, key)
            assert failure
            return connection_problem(host, failure, public_line(LOGIN_KEY))

    return asyncio.run(run())


def test_other_host_key_of_the_same_type_is_refused():
    problem = problem_at_server(host_keys=[OTHER_HOST_KEY])
    assert problem.check == "host-key"
    assert OTHER_HOST_KEY.get_fingerprint() in problem.found
    assert HOST_KEY.get_fingerprint() in problem.expected
    assert problem.expected.endswith("from ~/.ssh/known_hosts")
    assert "ssh-keygen -R '[127.0.0.1]:" in problem.remedy
    assert "-t ed25519 127.0.0.1 >> ~/.ssh/known_hosts" in problem.remedy


def test_host_key_of_another_type_is_refused_and_shown():
    problem = problem_at_server(host_keys=[ECDSA_HOST_KEY], changes={"knownHostsFile": None})
    assert problem.check == "host-key"
    assert ECDSA_HOST_KEY.get_fingerprint() in problem.found
    assert f'hostKey: "{public_line(ECDSA_HOST_KEY)}"' in problem.remedy
    assert "ssh_host_ecdsa_key.pub" in problem.remedy


def test_pinned_key_among_several_is_accepted():
    async def run() -> Failure | None:
        async with sshd(host_keys=[ECDSA_HOST_KEY, HOST_KEY]) as port:
            return await outcome_of(host_at(port))

    assert asyncio.run(run()) is None


def test_unreadable_host_key_of_the_inventory_is_an_input_error():
    with pytest.raises(InputError, match="host gpu-1: host key 'ssh-dss x' cannot be read"):
        asyncio.run(outcome_of(host_at(22, hostKey="ssh-dss x")))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ssh-copy-id -i ~/.ssh/id_ed25519.pub -p "),
        ({"privateKeyFile": None}, public_line(LOGIN_KEY)),
        ({}, "PermitRootLogin"),
    ],
    ids=["key file", "secret key", "root"],  # the id must not hold the key, which differs between processes
)
def test_key_that_is_not_accepted_is_a_login_problem(changes, expected):
    problem = problem_at_server(key=UNKNOWN_KEY, changes=changes)
    assert problem.check == "login"
    assert problem.found.startswith("root@127.0.0.1: ")
    assert expected in problem.remedy


def test_closed_port_is_refused():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        problem = problem_of(host_at(closed.getsockname()[1]))
    assert problem.check == "connection"
    assert "refused" in problem.found


def test_unknown_name_is_reported(monkeypatch):
    async def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    problem = problem_of(host_at(22, address="gpu-1.invalid"))
    assert problem.found.startswith("gpu-1.invalid port 22: the name is unknown")


def loop_class() -> type:
    loop = asyncio.new_event_loop()
    loop.close()
    return type(loop)


def test_missing_route_is_reported(monkeypatch):
    async def sock_connect(*_, **__):
        raise OSError(113, "No route to host")

    monkeypatch.setattr(loop_class(), "sock_connect", sock_connect)
    assert "unreachable (No route to host)" in problem_of(host_at(22)).found


def test_server_that_never_speaks_times_out(monkeypatch):
    monkeypatch.setattr(ssh, "SSH_CONNECT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        problem = problem_of(host_at(silent.getsockname()[1]))
    assert problem.check == "connection"
    assert "accepted, but nothing there spoke SSH" in problem.found


def test_network_that_drops_packets_times_out(monkeypatch):
    async def sock_connect(*_, **__):
        await asyncio.sleep(60)

    monkeypatch.setattr(ssh, "SSH_CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(loop_class(), "sock_connect", sock_connect)
    assert "no answer on the network" in problem_of(host_at(22)).found


def test_server_that_speaks_http_is_no_ssh_server():
    async def run() -> tuple[HostEntry, Failure | None]:
        async def web(reader, writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(web, "127.0.0.1", 0)
        async with server:
            host = host_at(server.sockets[0].getsockname()[1])
            return host, await outcome_of(host)

    host, failure = asyncio.run(run())
    assert failure and "no usable SSH server" in connection_problem(host, failure, "").found


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "ssh root@10.0.0.11"),
        ({"port": 2222, "user": "me"}, "ssh -p 2222 me@10.0.0.11"),
        ({"jump": "me@10.0.0.1:22"}, "ssh -J me@10.0.0.1:22 root@10.0.0.11"),
    ],
)
def test_ssh_command_names_port_user_and_bastion(changes, command):
    assert ssh_command(host_entry(**changes)) == command
