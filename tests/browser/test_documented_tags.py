"""The tags printed in docs/browser.md and in the track skill, in a real page, with only address and key put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blocks import blocks_of
from tests.browser.chromium import Chromium
from tests.browser.conftest import Embedded
from tests.house import ROOT

pytestmark = pytest.mark.worker

PAGES = [ROOT / "docs/browser.md", ROOT / "skills/millimetric-track/SKILL.md"]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_the_tag_as_printed_counts_a_page_view_and_takes_calls(
    browser: Chromium, site: Embedded, file: Path
) -> None:
    html = "".join(block.text for block in blocks_of(file) if block.language == "html")
    assert "http://localhost:8787" in html
    head = html.replace("http://localhost:8787", site.worker.url).replace(
        "pk_live_REPLACE_ME", site.keys["pk"]
    )
    site.site.head = head
    page = browser.visitor().open(site.url)
    calls = [block.text for block in blocks_of(file) if block.language == "js"]
    for call in calls:
        page.run(call)
    page.run("mm.flush()")
    expected = ["$pageview", *(["$identify", "signup"] if calls else ["signup"])]
    assert sorted(row["event_name"] for row in site.arrived(len(expected))) == sorted(expected)
