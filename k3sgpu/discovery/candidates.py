"""Machines on the way into a stack file: how each is reached, which host key it has, what it has answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.discovery.host_arguments import HostArgument
from k3sgpu.doctor.cards import Cards, read_cards, unsupported_platform
from k3sgpu.handoff.inventory import HostEntry
from k3sgpu.hosts.facts import Answer, Facts
from k3sgpu.settings.models.nodes import SSH_PORT


@dataclass(frozen=True)
class Candidate:
    """A machine that the user named, with everything that logging in takes but the key."""

    argument: HostArgument
    address: str
    """Its IPv4 address: k3s and the stack file take no names."""
    port: int
    user: str
    key_file: str | None
    """The private key's file; None where the SSH agent has the key."""
    host_key: str = ""
    """The host key that is accepted, as a public key line."""
    sudo_password: bool = False
    """Whether its sudo wants a password."""

    @property
    def name(self) -> str:
        """Its name in messages until it has told its own: address and, unless it is 22, port."""
        return self.address if self.port == SSH_PORT else f"{self.address}:{self.port}"

    def entry(self, known_hosts_file: str) -> HostEntry:
        """The machine as the SSH client and the report of failed connections take it."""
        return {
            "name": self.name,
            "address": self.address,
            "port": self.port,
            "user": self.user,
            "hostKey": self.host_key,
            "knownHostsFile": known_hosts_file,
            "privateKeyFile": self.key_file,
            "sudoPassword": self.sudo_password,
            "role": "agent",
            "nodeIp": self.address,
            "waive": [],
            "gpu": None,
        }


@dataclass(frozen=True)
class Seen:
    """A candidate that has answered."""

    candidate: Candidate
    answer: Answer

    @property
    def facts(self) -> Facts:
        """What it has said about itself."""
        return self.answer.facts

    @property
    def cards(self) -> Cards:
        """Its NVIDIA cards; none on a platform that NVIDIA's operator does not support."""
        cards = read_cards(self.facts)
        return Cards() if unsupported_platform(self.facts, cards) else cards

    @property
    def has_gpu(self) -> bool:
        """Whether it has an NVIDIA card that pods could use."""
        return bool(self.cards.shown) or self.cards.on_bus > self.cards.passed_through


def needs_sudo_password(facts: Facts) -> bool:
    """Whether the login may become root with a password that it was not given.

    sudo asks everybody for a password first, in the language of the login, so only its absence is told apart.
    """
    return facts.one("privileges") == "none" and "not found" not in facts.one("sudo-said")


def seen_of(candidates: Sequence[Candidate], answers: Mapping[str, object]) -> list[Seen]:
    """Those of the candidates that have answered, in their order; `answers` are by their names."""
    found = [(one, answers.get(one.name)) for one in candidates]
    return [Seen(one, answer) for one, answer in found if isinstance(answer, Answer)]
