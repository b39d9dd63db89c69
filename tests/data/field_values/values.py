"""Values of one field that its type accepts or refuses, and those that several fields share."""

from typing import Any, NamedTuple


class Values(NamedTuple):
    """Values at a path. `beyond`: refused ones that no pattern can tell from right ones."""

    accepted: tuple[Any, ...]
    refused: tuple[Any, ...]
    beyond: tuple[Any, ...] = ()


HASH = "a" * 64
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0sR5l5p3uUuMZy8jvHT7ZpGq6vY5t1l3H1o1wA2Zxy"
BLANKS = (
    "",
    " ",
    "\n",
    "\t",
    "a\n",
    "\na",
    "a\r",
    "a b",
    "a\0b",
    "a\x1bb",
    "a\u2028b",
    "\ufeffa",
    "a\ud800",
    "a\u202eb",
)
NAMES = ("-a", "a-", "A", "a_b", "a.b", "a" * 64, "ä", "٣", "a\n")

HOSTS = Values(
    ("k3s.example.org", "k3s", "10.0.0.1", "a-b.c", "xn--exmple-cua.org", "a" * 63 + ".b", "1.example"),
    (
        *BLANKS[:-1],
        *(
            "10.0.0.999",
            "10.0.0",
            "1",
            "0x7f.1",
            "10.0.0.1.",
            ".a",
            "a.",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "a" * 64,
        ),
        *("exämple.org", "http://a", "a:80", "me@a", "a/b", "[::1]", "*.a"),
    ),
)
URLS = (
    *("https://me:pw@m.example.org/k3s", "https://tok@m.example.org/k3s", "https://:pw@m.example.org/k3s"),
    *("https://m.example.org/k3s\n", "https://m.example.org/a b", "https://m.example.org:0/a"),
    "https://m_m/a",
    *("https://m.example.org:65536/a", "https://10.0.0.999/a", "https:///a", "https://"),
    *("ftp://m/a", "m/a", "//m/a"),
    *("https://m.example.org/k3s?token=abc", "https://m.example.org/k3s?a=b&X-Amz-Signature=ab"),
    "https://m/ä",
    *("HTTPS://m/a", "https://me:p/w@m/a", "https://m/a\\b", 'https://m/a"b', "https://m/<a>"),
    "https://m/a#b",
)
