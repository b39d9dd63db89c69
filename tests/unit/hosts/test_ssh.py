"""Machines are played by an SSH server in this process; what answers is facts.sh on this very computer."""

import asyncio
import contextlib
import socket
import subprocess
import time

import asyncssh
import pytest
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from k3sgpu.doctor.host_check import build_report
from k3sgpu.hosts import ssh
from k3sgpu.hosts.ssh import Answer, Clock, Failure, Login
from tests.unit.hosts import sudo

OURS = asyncssh.generate_private_key("ssh-ed25519")
STRANGER = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
ECDSA_HOST_KEY = asyncssh.generate_private_key("ecdsa-sha2-nistp256")


def line(key):
    return key.export_public_key().decode().strip()


def spec(port, name="gpu-1", **more):
    return {
        "name": name, "role": "agent", "address": "127.0.0.1", "port": port, "user": "root",
        "hostKey": line(HOST_KEY), "knownHostsFile": "~/.ssh/known_hosts",
        "privateKeyFile": "~/.ssh/id_ed25519", "gpu": None, **more,
    }  # fmt: skip


def inventory(*hosts):
    return {
        "owner": {"project": "k3s-gpu-sharing", "stack": "dev"}, "k3sVersion": "v1.36.2+k3s1",
        "driver": "host", "toolkit": "host", "hosts": list(hosts),
    }  # fmt: skip


async def real_shell(process):
    """Runs the command as a login shell would, on this computer."""
    local = await asyncio.create_subprocess_shell(
        process.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await local.communicate((await process.stdin.read()).encode())
    process.stdout.write(said.decode(errors="replace"))
    process.exit(local.returncode or 0)


@contextlib.asynccontextmanager
async def sshd(shell=real_shell, host_keys=(HOST_KEY,)):
    known = asyncssh.import_authorized_keys(line(OURS))
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=list(host_keys), authorized_client_keys=known, process_factory=shell
    )
    try:
        yield server.get_port()
    finally:
        server.close()


def ask(key=OURS, password="", port=None, more=None, **server):
    """Asks one machine and returns its spec with what came of it."""

    async def run():
        if port is not None:
            host = spec(port, **(more or {}))
            return host, await ssh.ask(host, Login(key, password))
        async with sshd(**server) as served:
            host = spec(served, **(more or {}))
            return host, await ssh.ask(host, Login(key, password))

    return asyncio.run(run())


def told(host, answer):
    """The one finding of the report about a machine that could not be asked."""
    assert isinstance(answer, Failure), answer
    (finding,) = build_report(inventory(host), {host["name"]: answer}, {host["name"]: line(OURS)}).problems
    return finding


def test_a_machine_that_answers():
    before = time.time()
    _, answer = ask()
    assert isinstance(answer, Answer)
    assert answer.facts.complete
    assert answer.facts.one("kernel") == "Linux"
    assert answer.facts.one("privileges") in ("root", "sudo", "none")
    assert answer.peer == "127.0.0.1"
    assert answer.clock
    assert answer.clock.earliest <= 0.0 <= answer.clock.latest
    assert answer.clock.latest - answer.clock.earliest <= time.time() - before + 1


@pytest.mark.parametrize(
    ("password", "free", "privileges", "said"),
    [
        ("sesame", False, "sudo", ""),
        ("sesame", True, "sudo", ""),
        ("", True, "sudo", ""),
        ("", False, "none", "sudo: a password is required"),
        ("wrong", False, "wrong-password", "sudo: 1 incorrect password attempt"),
    ],
)
def test_a_login_becomes_root_where_it_can(tmp_path, monkeypatch, password, free, privileges, said):
    sudo.install(tmp_path, monkeypatch, free=free)
    _, answer = ask(password=password, more={"user": "me"})
    assert isinstance(answer, Answer)
    assert answer.facts.complete
    assert answer.facts.one("privileges") == privileges
    assert answer.facts.one("sudo-said") == said
    assert "sesame" not in sudo.arguments(tmp_path)


def test_a_slow_login_does_not_count_as_a_wrong_clock():
    async def slow(process):
        await asyncio.sleep(0.3)
        process.stdout.write("Welcome!\n")
        await real_shell(process)

    _, answer = ask(shell=slow)
    assert isinstance(answer, Answer)
    assert answer.clock
    assert answer.clock.distance(0.0) == 0.0


def test_a_clock_is_known_within_a_range():
    assert Clock(earliest=40, latest=60).distance(50) == 0
    assert Clock(earliest=40, latest=60).distance(0) == 40
    assert Clock(earliest=-60, latest=-40).distance(0) == 40


def test_another_host_key_of_the_same_type():
    finding = told(*ask(host_keys=[OTHER_HOST_KEY]))
    assert finding.check == "host-key"
    assert OTHER_HOST_KEY.get_fingerprint() in finding.found
    assert HOST_KEY.get_fingerprint() in finding.expected
    assert finding.expected.endswith("from ~/.ssh/known_hosts")
    assert "ssh-keygen -R '[127.0.0.1]:" in finding.remedy
    assert "-t ed25519 127.0.0.1 >> ~/.ssh/known_hosts" in finding.remedy


def test_no_host_key_of_the_pinned_type():
    host, answer = ask(host_keys=[ECDSA_HOST_KEY], more={"knownHostsFile": None})
    finding = told(host, answer)
    assert finding.check == "host-key"
    assert ECDSA_HOST_KEY.get_fingerprint() in finding.found
    assert f'hostKey: "{line(ECDSA_HOST_KEY)}"' in finding.remedy
    assert "ssh_host_ecdsa_key.pub" in finding.remedy


def test_the_pinned_key_is_asked_for_among_several():
    _, answer = ask(host_keys=[ECDSA_HOST_KEY, HOST_KEY])
    assert isinstance(answer, Answer)


def test_nothing_is_sent_to_a_machine_with_another_host_key():
    asked = []

    async def shell(process):
        asked.append(process.command)
        process.exit(0)

    ask(shell=shell, host_keys=[OTHER_HOST_KEY])
    assert asked == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "ssh-copy-id -i ~/.ssh/id_ed25519.pub -p "),
        ({"privateKeyFile": None}, line(OURS)),
        ({}, "PermitRootLogin"),
    ],
    ids=["copied", "the agent's", "root"],  # a key in a test's name is another one in each process
)
def test_a_key_that_is_not_accepted(more, expected):
    finding = told(*ask(key=STRANGER, more=more))
    assert finding.check == "login"
    assert finding.found.startswith("root@127.0.0.1: ")
    assert expected in finding.remedy


def test_nothing_listens():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        finding = told(*ask(port=closed.getsockname()[1]))
    assert finding.check == "connection"
    assert "refused" in finding.found


def test_a_name_nobody_knows(monkeypatch):
    async def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", unknown)
    finding = told(*ask(port=22, more={"address": "gpu-1.invalid"}))
    assert finding.found.startswith("gpu-1.invalid port 22: the name is not known")


def test_no_route(monkeypatch):
    async def nowhere(*_, **__):
        raise OSError(113, "No route to host")

    monkeypatch.setattr(asyncio.get_event_loop_policy().new_event_loop().__class__, "sock_connect", nowhere)
    assert "not reachable (No route to host)" in told(*ask(port=22)).found


def test_a_server_that_accepts_and_never_speaks(monkeypatch):
    monkeypatch.setattr(ssh, "CONNECT_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        finding = told(*ask(port=silent.getsockname()[1]))
    assert finding.check == "connection"
    assert "accepted, but nothing there spoke SSH" in finding.found


def test_a_network_that_swallows_packets(monkeypatch):
    async def swallowed(*_, **__):
        await asyncio.sleep(60)

    monkeypatch.setattr(ssh, "CONNECT_S", 0.2)
    monkeypatch.setattr(asyncio.get_event_loop_policy().new_event_loop().__class__, "sock_connect", swallowed)
    assert "no answer on the network" in told(*ask(port=22)).found


def test_a_server_that_speaks_something_else():
    async def run():
        async def web(reader, writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(web, "127.0.0.1", 0)
        async with server:
            host = spec(server.sockets[0].getsockname()[1])
            return host, await ssh.ask(host, Login(OURS))

    assert "no usable SSH server" in told(*asyncio.run(run())).found


def test_a_login_whose_shell_never_ends(monkeypatch):
    async def stuck(process):
        process.stdout.write("time\t1\nkernel\tLinux\n")
        await asyncio.sleep(60)

    monkeypatch.setattr(ssh, "FACTS_S", 0.4)
    finding = told(*ask(shell=stuck))
    assert finding.check == "facts"
    assert "the last it said was 'kernel Linux'" in finding.found


def test_a_login_that_runs_no_commands():
    async def menu(process):
        process.stdout.write("This account is currently not available.\n")
        process.exit(1)

    finding = told(*ask(shell=menu))
    assert "ended with status 1" in finding.found
    assert "currently not available" in finding.found


def test_a_login_that_does_not_stop_talking(monkeypatch):
    async def chatter(process):
        with contextlib.suppress(Exception):
            while True:
                process.stdout.write("word " * 1000 + "\n")
                await process.stdout.drain()

    monkeypatch.setattr(ssh, "MOST_OUTPUT", 10_000)
    assert "more than 10000 characters" in told(*ask(shell=chatter)).found


def test_a_connection_that_breaks():
    async def broken(process):
        process.stdout.write("time\t1\n")
        process.channel.get_connection().abort()

    assert told(*ask(shell=broken)).check == "facts"


def test_all_are_asked_at_one_moment():
    together = 0

    async def shell(process):
        nonlocal together
        together += 1
        deadline = time.monotonic() + 5
        while together < 8 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        process.stdout.write(f"seen\t{together}\nend\tok\n")
        process.exit(0)

    async def run():
        async with sshd(shell=shell) as port:
            hosts = [spec(port, name=f"gpu-{number}") for number in range(8)]
            return await ssh.collect_facts(hosts, {host["name"]: Login(OURS) for host in hosts})

    answers = asyncio.run(run())
    assert {answer.facts.one("seen") for answer in answers.values() if isinstance(answer, Answer)} == {"8"}


def test_one_dead_machine_does_not_hide_the_others():
    async def run():
        async with sshd() as port:
            hosts = [spec(port, name="gpu-1"), spec(1, name="gpu-2")]
            return hosts, await ssh.collect_facts(hosts, {host["name"]: Login(OURS) for host in hosts})

    hosts, answers = asyncio.run(run())
    verdict = build_report(inventory(*hosts), answers, {host["name"]: line(OURS) for host in hosts})
    assert isinstance(answers["gpu-1"], Answer)
    assert [finding.check for finding in verdict.problems if finding.where == "gpu-2"] == ["connection"]
    assert verdict.exit_code == 1


async def bastion_sshd(allows=True):
    class Bastion(asyncssh.SSHServer):
        def connection_requested(self, *wanted):
            if not allows:
                raise asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
            return True

    known = asyncssh.import_authorized_keys(line(OURS))
    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[OTHER_HOST_KEY],
        authorized_client_keys=known,
        server_factory=Bastion,
    )


def through_bastion(allows=True, key=OTHER_HOST_KEY):
    """The report about three hosts: one that answers, one with another host key, one that is not there."""

    async def run():
        bastion = await bastion_sshd(allows)
        async with sshd() as port, sshd(host_keys=[OTHER_HOST_KEY]) as other:
            jump = f"me@127.0.0.1:{bastion.get_port()}"
            hosts = [
                spec(port, name="gpu-1", jump=jump),
                spec(other, name="gpu-2", jump=jump),
                spec(1, name="gpu-3", jump=jump),
            ]
            end = spec(bastion.get_port(), name="the bastion", user="me", hostKey=line(key))
            logins = {host["name"]: Login(OURS) for host in [*hosts, end]}
            try:
                answers = await ssh.collect_facts(hosts, logins, end)
            finally:
                bastion.close()
            return {**inventory(*hosts), "bastion": end}, answers

    told, answers = asyncio.run(run())
    return build_report(told, answers, dict.fromkeys([*answers, "the bastion"], line(OURS)))


def test_through_a_bastion_every_host_says_what_it_would_say_directly():
    verdict = through_bastion()
    found = {finding.where: finding for finding in verdict.problems if finding.where != "gpu-1"}
    assert "gpu-1" in verdict.subjects and "the bastion" not in verdict.subjects
    assert found["gpu-2"].check == "host-key"
    assert "; ssh ssh://me@127.0.0.1:" in found["gpu-2"].remedy
    assert found["gpu-3"].check == "connection" and "says the bastion" in found["gpu-3"].found
    assert "connection" not in {finding.check for finding in verdict.problems if finding.where == "gpu-1"}


def test_a_bastion_with_another_key_is_told_once_and_nobody_behind_it_is_asked():
    verdict = through_bastion(key=HOST_KEY)
    assert [(finding.where, finding.check) for finding in verdict.problems] == [("the bastion", "host-key")]
    assert verdict.notes == ["not looked at, because the bastion was not reached: gpu-1, gpu-2, gpu-3"]
    assert verdict.exit_code == 1


def test_a_bastion_that_does_not_forward():
    finding = through_bastion(allows=False).problems[0]
    assert "the bastion does not forward" in finding.found and "AllowTcpForwarding" in finding.remedy
