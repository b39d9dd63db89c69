"""The Markdown pages of the documentation, and what stands in them."""

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page by its path below the repository's root."""

    path: str

    @property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of a language, without their indentation."""
        found = [match for match in _FENCE.finditer(self.text) if match["language"] == language]
        return [re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE) for match in found]

    @property
    def code_spans(self) -> list[str]:
        """What stands between backticks in the prose, each on one line."""
        return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", self.prose)]

    @property
    def links(self) -> list[str]:
        """Targets of links and images."""
        without_code = re.sub(r"`[^`]*`", "code", self.prose)
        return re.findall(r"\[[^\[\]]*\]\(([^()\s]+)\)", without_code)

    @property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        seen: dict[str, int] = {}
        for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE):
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            seen[slug] = seen.get(slug, -1) + 1
        return {
            slug if number == 0 else f"{slug}-{n}" for slug, number in seen.items() for n in range(number + 1)
        }


@cache
def tracked() -> tuple[str, ...]:
    """Files of the repository, the ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(sorted(path for path in done.stdout.splitlines() if (ROOT / path).is_file()))


@cache
def pages() -> tuple[Page, ...]:
    """All pages: at the top, below docs, and below rehearsal."""
    return tuple(
        Page(path)
        for path in tracked()
        if path.endswith(".md") and ("/" not in path or path.startswith(("docs/", "rehearsal/")))
    )
