"""The folder of k3s's data in commands and messages."""

import pytest

from k3sgpu.doctor.data_folder import DataFolder


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/var/lib", "/var/lib"),
        ("/var/lib/rancher", "/var/lib"),
        ("/var/lib2", "/var/lib2"),
        ("/mnt/big", "/mnt/big"),
    ],
)
def test_command_names_the_folder_that_links_lead_to(path: str, shown: str) -> None:
    assert DataFolder(path).for_commands == shown


def test_message_names_the_link() -> None:
    assert DataFolder("/mnt/big").for_messages == "/mnt/big, to which /var/lib/rancher leads"
