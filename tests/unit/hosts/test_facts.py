"""Facts collected over SSH, from servers in this process that run facts.sh on this computer."""

import asyncio
import contextlib
import time
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from k3sgpu.hosts import facts
from k3sgpu.hosts.facts import Answer, Clock, collect_facts, collect_facts_from, facts_script, parse_facts
from k3sgpu.hosts.ssh import Failure, Login
from k3sgpu.hosts.ssh_errors import connection_problem
from tests.unit.hosts import sudo
from tests.unit.hosts.sshd import HOST_KEY, LOGIN_KEY, OTHER_HOST_KEY, host_at, public_line, real_shell, sshd


def answer_of(password: str = "", changes: dict[str, Any] | None = None, **server: Any) -> Answer | Failure:
    """Asks one machine. `changes`: of the host's entry."""

    async def run() -> Answer | Failure:
        async with sshd(**server) as port:
            host, login = host_at(port, **(changes or {})), Login(LOGIN_KEY, password)
            return await collect_facts_from(host, login, None, facts_script())

    return asyncio.run(run())


def failure_of(shell) -> Failure:
    answer = answer_of(shell=shell)
    assert isinstance(answer, Failure) and answer.kind == "facts"
    return answer


def test_machine_answers_with_complete_facts_and_its_clock():
    before = time.time()
    answer = answer_of()
    assert isinstance(answer, Answer)
    assert answer.facts.complete
    assert answer.facts.one("kernel") == "Linux"
    assert answer.facts.one("privileges") in ("root", "sudo", "none")
    assert answer.peer == "127.0.0.1"
    assert answer.clock
    assert answer.clock.earliest <= 0.0 <= answer.clock.latest
    assert answer.clock.latest - answer.clock.earliest <= time.time() - before + 1


@pytest.mark.parametrize(
    ("password", "free", "privileges", "message"),
    [
        ("sesame", False, "sudo", ""),
        ("sesame", True, "sudo", ""),
        ("", True, "sudo", ""),
        ("", False, "none", "sudo: a password is required"),
        ("wrong", False, "wrong-password", "sudo: 1 incorrect password attempt"),
    ],
)
def test_login_becomes_root_with_sudo(tmp_path, monkeypatch, password, free, privileges, message):
    sudo.install(tmp_path, monkeypatch, free=free)
    answer = answer_of(password, {"user": "me"})
    assert isinstance(answer, Answer)
    assert answer.facts.complete
    assert answer.facts.one("privileges") == privileges
    assert answer.facts.one("sudo-said") == message
    assert "sesame" not in sudo.arguments(tmp_path)


def test_slow_login_does_not_count_as_a_wrong_clock():
    async def slow(process):
        await asyncio.sleep(0.3)
        process.stdout.write("Welcome!\n")
        await real_shell(process)

    answer = answer_of(shell=slow)
    assert isinstance(answer, Answer)
    assert answer.clock
    assert answer.clock.distance(0.0) == 0.0


def test_clock_distance_is_measured_from_the_nearest_end():
    assert Clock(earliest=40, latest=60).distance(50) == 0
    assert Clock(earliest=40, latest=60).distance(0) == 40
    assert Clock(earliest=-60, latest=-40).distance(0) == 40


def test_nothing_is_sent_to_a_machine_with_another_host_key():
    commands = []

    async def shell(process):
        commands.append(process.command)
        process.exit(0)

    assert isinstance(answer_of(shell=shell, host_keys=[OTHER_HOST_KEY]), Failure)
    assert commands == []


def test_shell_that_never_ends_is_reported_with_its_last_line(monkeypatch):
    async def stuck(process):
        process.stdout.write("time\t1\nkernel\tLinux\n")
        await asyncio.sleep(60)

    monkeypatch.setattr(facts, "FACTS_SECONDS", 0.4)
    assert "its last line was 'kernel Linux'" in failure_of(stuck).detail


def test_login_that_runs_no_commands_is_reported_with_its_message():
    async def menu(process):
        process.stdout.write("This account is currently not available.\n")
        process.exit(1)

    failure = failure_of(menu)
    assert "exit status 1" in failure.detail
    assert "currently not available" in failure.detail


def test_endless_output_is_cut_off(monkeypatch):
    async def chatter(process):
        with contextlib.suppress(Exception):
            while True:
                process.stdout.write("word " * 1000 + "\n")
                await process.stdout.drain()

    monkeypatch.setattr(facts, "MAX_OUTPUT", 10_000)
    assert "more than 10000 characters" in failure_of(chatter).detail


def test_broken_connection_is_reported():
    async def broken(process):
        process.stdout.write("time\t1\n")
        process.channel.get_connection().abort()

    assert failure_of(broken)


def test_all_machines_are_asked_at_the_same_time():
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
            hosts = [host_at(port, f"gpu-{number}") for number in range(8)]
            return await collect_facts(hosts, {host["name"]: Login(LOGIN_KEY) for host in hosts}, None, "")

    answers = asyncio.run(run())
    assert {answer.facts.one("seen") for answer in answers.values() if isinstance(answer, Answer)} == {"8"}


def test_dead_machine_does_not_hide_the_others():
    async def run():
        async with sshd() as port:
            hosts = [host_at(port, "gpu-1"), host_at(1, "gpu-2")]
            logins = {host["name"]: Login(LOGIN_KEY) for host in hosts}
            return await collect_facts(hosts, logins, None, facts_script())

    answers = asyncio.run(run())
    assert isinstance(answers["gpu-1"], Answer)
    assert isinstance(answers["gpu-2"], Failure) and answers["gpu-2"].kind == "refused"


class Bastion(asyncssh.SSHServer):
    """Forwards connections."""

    def connection_requested(self, *_) -> bool:
        return True


class ClosedBastion(Bastion):
    """Refuses to forward."""

    def connection_requested(self, *_) -> bool:
        raise asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")


def answers_through_bastion(server: type[Bastion] = Bastion, key: asyncssh.SSHKey = OTHER_HOST_KEY):
    """Entries and answers of three hosts behind a bastion, of which one answers, one has another host key and
    one is not there; the bastion's own entry is the last. `key`: what is pinned for the bastion."""

    async def run():
        async with (
            sshd(host_keys=[OTHER_HOST_KEY], server_factory=server) as bastion_port,
            sshd() as port,
            sshd(host_keys=[OTHER_HOST_KEY]) as other_port,
        ):
            jump = f"me@127.0.0.1:{bastion_port}"
            ports = {"gpu-1": port, "gpu-2": other_port, "gpu-3": 1}
            hosts = [host_at(port, name, jump=jump) for name, port in ports.items()]
            bastion = host_at(bastion_port, "the bastion", user="me", hostKey=public_line(key))
            targets = [*hosts, bastion]
            logins = {target["name"]: Login(LOGIN_KEY) for target in targets}
            answers = await collect_facts(hosts, logins, bastion, facts_script())
            return {target["name"]: target for target in targets}, answers

    return asyncio.run(run())


def test_bastion_is_passed_through_and_failures_behind_it_are_distinguished():
    hosts, answers = answers_through_bastion()
    assert answers.keys() == {"gpu-1", "gpu-2", "gpu-3"}
    assert isinstance(answers["gpu-1"], Answer)
    other_key, closed = (
        connection_problem(hosts[name], answer, "")
        for name in ("gpu-2", "gpu-3")
        if isinstance(answer := answers[name], Failure)
    )
    assert other_key.check == "host-key"
    assert "; ssh ssh://me@127.0.0.1:" in other_key.remedy
    assert closed.check == "connection" and "says the bastion" in closed.found


def test_no_host_behind_a_bastion_with_another_key_is_asked():
    _, answers = answers_through_bastion(key=HOST_KEY)
    kinds = {name: answer.kind for name, answer in answers.items() if isinstance(answer, Failure)}
    assert kinds == {"the bastion": "host-key", "gpu-1": "bastion", "gpu-2": "bastion", "gpu-3": "bastion"}


def test_bastion_that_refuses_to_forward_is_reported_for_each_host():
    hosts, answers = answers_through_bastion(ClosedBastion)
    failure = answers["gpu-1"]
    assert isinstance(failure, Failure)
    problem = connection_problem(hosts["gpu-1"], failure, "")
    assert "the bastion does not forward" in problem.found and "AllowTcpForwarding" in problem.remedy


def test_lines_of_a_login_shell_are_ignored():
    parsed = parse_facts("Last login: Mon\nkernel\tLinux\n\nNot a fact\tx\nos\t \ntool\ta\ntool\tb\n")
    assert parsed.values == {"kernel": ("Linux",), "tool": ("a", "b")}
    assert not parsed.complete
    assert parsed.number("kernel") is None
    assert parsed.one("os") == ""


def test_urls_and_addresses_are_quoted_for_sh():
    script = facts_script(["https://a.example/$(id)"], "10.0.0.1")
    assert script.startswith("downloads='https://a.example/$(id)'\nserver=10.0.0.1\nnames=a.example\n")
