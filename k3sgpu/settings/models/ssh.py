"""The section `ssh`: how hosts are reached. Pools and hosts may override the login."""

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.names import HostName, KeyPath

# Not ssh-rsa: the Command provider would request its SHA-1 signatures, which current servers refuse.
HOST_KEY = r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}( .*)?"

HostKey = Annotated[str, StringConstraints(pattern=re.compile(f"^{HOST_KEY}$"))]
Port = Annotated[int, Field(ge=1, le=65535)]


class Login(Model):
    """The login of a host, or of the hosts of a pool. A key left out is inherited from the level above."""

    user: str | None = Field(
        default=None,
        min_length=1,
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

    user: str = Field(
        default="root", min_length=1, description="the login name on the hosts", examples=["root"]
    )
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
