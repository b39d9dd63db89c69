"""The machines that a user names on the command line."""

import pytest

from k3sgpu.discovery.host_arguments import HostArgument, parse_hosts
from k3sgpu.problem import SettingsError


def test_user_and_port_are_optional() -> None:
    hosts = parse_hosts(["10.0.0.11", "ubuntu@gpu.example.org", "me@10.0.0.12:2222"])
    assert hosts == [
        HostArgument("10.0.0.11", "HOST 10.0.0.11"),
        HostArgument("gpu.example.org", "HOST ubuntu@gpu.example.org", "ubuntu"),
        HostArgument("10.0.0.12", "HOST me@10.0.0.12:2222", "me", 2222),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.999", "no such text"),
        ("10.0.0.1:70000", "no such text"),
        ("fd00::1", "an IPv6 address"),
        ("two words", "no such text"),
        ("a@b@c", "no such text"),
        ("\x1b[31mred", "no such text"),
    ],
)
def test_other_texts_are_refused_together(text: str, found: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_hosts([text, "10.0.0.1:"])
    assert found in error.value.problems[0].found
    assert len(error.value.problems) == 2
    assert "\x1b" not in str(error.value)


def test_a_machine_is_named_once() -> None:
    with pytest.raises(SettingsError, match="named twice"):
        parse_hosts(["10.0.0.11", "root@10.0.0.11"])
