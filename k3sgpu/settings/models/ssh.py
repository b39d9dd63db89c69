"""The section `ssh`: how hosts are reached. Pools and hosts may override the login."""

from typing import Annotated

from pydantic import Field

from k3sgpu.settings.models.addresses import HostName
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import UNPRINTABLE, Text
from k3sgpu.settings.models.names import KeyPath

# Not ssh-rsa: the Command provider would request its SHA-1 signatures, which current servers refuse.
HostKey = Annotated[
    str,
    Text(
        rf"(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+={{0,2}}(?: [^{UNPRINTABLE}]*)?",
        1000,
        "the machine's public host key in one line: ssh-ed25519 AAAA… or ecdsa-sha2-nistp256 AAAA…",
        "write what this prints on the machine: cat /etc/ssh/ssh_host_ed25519_key.pub",
    ),
]
LoginName = Annotated[
    str,
    Text(
        "[0-9.]*[A-Za-z_][A-Za-z0-9._-]*",
        32,
        "a login name (POSIX, useradd): letters, digits, '.', '_' and '-', at most 32 characters,\n"
        "one a letter, and no '-' at the start",
        "write for instance root",
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]


class Login(Model):
    """The login of a host, or of the hosts of a pool. A key left out is inherited from the level above."""

    user: LoginName | None = Field(
        default=None,
        description="the login name; default: that of the pool, or else of ssh",
        examples=["root"],
    )
    port: Port | None = Field(
        default=None,
        description="the port of sshd, 1 to 65535; default: that of the pool, or else of ssh",
        examples=[22],
    )
    private_key_file: KeyPath | None = Field(
        default=None,
        description="the path of the private key file; default: that of the pool, or else of ssh",
        examples=["~/.ssh/id_ed25519"],
    )


class Bastion(Login):
    """The jump host through which all other hosts are reached."""

    address: HostName = Field(
        description="the DNS name or IPv4 address of the bastion", examples=["bastion.example.org"]
    )
    port: Port | None = Field(
        default=None, description="the port of sshd on the bastion, 1 to 65535; default: 22", examples=[22]
    )
    host_key: HostKey | None = Field(
        default=None,
        description="the bastion's public host key, as in its /etc/ssh/ssh_host_ed25519_key.pub; default: "
        "the entry in knownHostsFile",
        examples=["ssh-ed25519 AAAA..."],
    )


class Ssh(Model):
    """How hosts are reached; a pool and a host may override user, port and key."""

    user: LoginName = Field(default="root", description="the login name on the hosts", examples=["root"])
    port: Port = Field(default=22, description="the port of sshd, 1 to 65535", examples=[22])
    private_key_file: KeyPath | None = Field(
        default=None,
        description="the path of the private key file; not with agent or the secret sshPrivateKey",
        examples=["~/.ssh/id_ed25519"],
    )
    agent: bool = Field(
        default=False,
        description="true: use the keys of the SSH agent in SSH_AUTH_SOCK",
        examples=["true"],
    )
    known_hosts_file: KeyPath = Field(
        default="~/.ssh/known_hosts",
        description="the path of the known_hosts file with the hosts' public keys",
        examples=["~/.ssh/known_hosts"],
    )
    bastion: Bastion | None = Field(
        default=None,
        description="the jump host through which all other hosts are reached",
        examples=["{address: bastion.example.org}"],
    )
