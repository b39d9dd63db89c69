"""Links, anchors, and mentions of files lead somewhere."""

import posixpath
import re

import pytest

from tests.unit.docs.pages import ROOT, Page, pages, tracked

_MENTIONED = re.compile(r"\.?[\w-]+(/[\w.-]+)+\.(py|md|sh|json|svg|toml|txt|ya?ml|go)")
_DOCUMENT = re.compile(r"\b(docs/[\w/-]+\.md)(?:, \\?\"([^\"\\]+)\\?\")?")


REMARKS = {"rehearsal/bench/remarks.md", "rehearsal/large/remarks.md"}
"""Parts of generated pages."""


def ids(page: Page) -> str:
    return page.path


@pytest.mark.parametrize("page", pages(), ids=ids)
def test_relative_links_and_anchors_resolve(page: Page) -> None:
    broken = []
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), path)) if path else page.path
        if not (ROOT / target).exists() or (anchor and anchor not in Page(target).anchors):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", pages(), ids=ids)
def test_files_that_a_page_mentions_exist(page: Page) -> None:
    folder = (ROOT / page.path).parent
    paths = [span for span in page.code_spans if _MENTIONED.fullmatch(span) and "NAME" not in span]
    assert not [path for path in paths if not (ROOT / path).exists() and not (folder / path).exists()]


def test_documents_and_headings_that_the_code_mentions_exist() -> None:
    missing = []
    for file in tracked():
        if not file.endswith((".py", ".sh", ".go", ".yaml", ".yml", "Makefile")):
            continue
        for path, heading in _DOCUMENT.findall((ROOT / file).read_text(errors="replace")):
            known = (ROOT / path).exists()
            if not known or (heading and f"# {heading}\n" not in Page(path).text):
                missing.append((file, path, heading))
    assert not missing


def test_every_page_is_reachable_from_the_readme() -> None:
    reached: set[str] = set()
    queue = ["README.md"]
    while queue:
        path = queue.pop()
        if path in reached:
            continue
        reached.add(path)
        for link in Page(path).links:
            target = posixpath.normpath(
                posixpath.join(posixpath.dirname(path), link.partition("#")[0] or ".")
            )
            if target.endswith(".md") and (ROOT / target).exists():
                queue.append(target)
    assert not [page.path for page in pages() if page.path not in reached and page.path not in REMARKS]
