"""What the pages point to is there."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)|\]\(#([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_links_lead_somewhere(page: Path) -> None:
    for file, anchor, own_anchor in LINK.findall(page.read_text()):
        if "://" in file or file.startswith("mailto:"):
            continue
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        if anchor or own_anchor:
            assert (anchor or own_anchor) in anchors(target.read_text()), f"{file}#{anchor or own_anchor}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's titles, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_there_is_a_picture_of_flower() -> None:
    assert "flower.png" in (ROOT / "docs/multi-host.md").read_text()
    assert (ROOT / "docs/flower.png").read_bytes().startswith(b"\x89PNG")
