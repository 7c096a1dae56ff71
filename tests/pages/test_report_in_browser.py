"""The front page and Snakemake's report in a real headless Chromium: `make test-report`.

REPORT_FOLDER=results/quick looks at a finished run instead of making a tiny one; SCREENSHOTS=folder
keeps what the browser shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import AXE, DESKTOP, PHONE, Browser, browser, missing
from workflow_tools import overlay, snakemake, tiny_clone

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(missing()), reason=f"{' and '.join(missing())} not installed"),
]
HOSTILE = "<img src=x onerror='document.title=1'> & \"quotes\""
ONE_STUDY = {"studies": {"convnet-normal": None, "fcnet-normal": {"title": HOSTILE}}}
# A picture is in the page once; what shows it (the whole of it, or a panel) has a size.
SHOWN = """
return [...document.querySelectorAll("figure")].map(figure => {
  const shown = [...figure.querySelectorAll("svg")].map(e => e.getBoundingClientRect());
  return [figure.id, Math.max(0, ...shown.map(box => box.width * box.height)),
          shown.filter(box => box.width > 0).length,
          Math.max(...shown.map(box => box.left + box.width))];
});
"""
DECODES = """
const image = new Image();
image.src = document.querySelectorAll("image")[arguments[0]].getAttribute("href");
return image.decode().then(() => image.naturalWidth);
"""
FIRST = """
const shown = [...document.querySelectorAll("#minute svg")].map(e => e.getBoundingClientRect());
const table = document.querySelector("#minute table")?.getBoundingClientRect();
return [table?.top, table?.bottom, ...shown.filter(box => box.width > 0).slice(0, 1)
  .flatMap(box => [box.top, box.bottom])];
"""
POINT = """
const svg = document.querySelector("#minute svg");
const curves = JSON.parse(document.getElementById("curves").textContent);
const panel = curves[svg.dataset.figure].panels[0], point = panel.curves[0][2][0];
const place = new DOMPoint(point[0], point[1]).matrixTransform(svg.getScreenCTM());
const move = {bubbles: true, clientX: place.x + 3, clientY: place.y - 2};
svg.dispatchEvent(new PointerEvent("pointermove", move));
const tip = document.getElementById("tip"), seen = [tip.hidden, tip.innerText];
svg.dispatchEvent(new PointerEvent("pointermove", {...move, clientX: 0, clientY: 0}));
return [...seen, tip.hidden, panel.curves[0][0], point[3]];
"""
TOO_WIDE = """
return [...document.querySelectorAll("body *")]
  .filter(e => !e.closest(".scroll, nav, pre, svg *"))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80));
"""
FONT_SIZES = """
return [...document.querySelectorAll("p, td, figcaption, a")]
  .map(e => parseFloat(getComputedStyle(e).fontSize));
"""
CLICK = """
const found = [...document.querySelectorAll("a")].find(e => e.innerText.trim() == arguments[0]);
found.click();
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with index.html and report.html."""
    if "REPORT_FOLDER" in os.environ:
        return Path(os.environ["REPORT_FOLDER"])
    clone = tiny_clone(tmp_path_factory.mktemp("report") / "clone")
    overlays = overlay(clone, ONE_STUDY)
    snakemake(clone, "--cores", "2", overlays=overlays)
    snakemake(clone, "--report", "results/report.html", overlays=overlays)
    return clone / "results"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as session:
        yield session


def keep(chromium: Browser, name: str) -> None:
    """Keep a screenshot where there is a folder for it."""
    if "SCREENSHOTS" in os.environ:
        chromium.screenshot(Path(os.environ["SCREENSHOTS"], f"{name}.png"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_front_page_opens_from_the_disk_and_all_its_figures_load(
    chromium: Browser, folder: Path, size: tuple[int, int]
) -> None:
    chromium.open(folder / "index.html", size)
    keep(chromium, f"index-{size[0]}")
    figures = chromium.run(SHOWN)
    assert len(figures) == len(list(folder.glob("*.png"))) + is_rehearsal(chromium) > 10
    for number, (name, area, panels, right) in enumerate(figures):
        assert area > 10_000 and right <= size[0], name
        assert panels == 1 or size == PHONE, "on a desktop a figure is whole"
        assert chromium.run(DECODES, number) > 100
    assert max(panels for _, _, panels, _ in figures) > (size == PHONE)
    keep(chromium, f"index-{size[0]}-last-figure")
    assert chromium.errors() == []
    assert chromium.run("return document.title").startswith("ticketlens: ")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_answers_and_the_first_figure_are_on_the_first_screen(
    chromium: Browser, folder: Path, size: tuple[int, int]
) -> None:
    chromium.open(folder / "index.html", size)
    top, bottom, figure_top, figure_bottom = chromium.run(FIRST)
    if top is None:
        pytest.skip("a study of one seed answers nothing: REPORT_FOLDER=results/quick")
    assert 0 < top < bottom < size[1] and 0 < figure_top < figure_bottom <= size[1]


def test_the_pointer_shows_values_and_a_click_opens_the_figure_at_full_size(
    chromium: Browser, folder: Path
) -> None:
    chromium.open(folder / "index.html")
    hidden, words, hidden_again, name, value = chromium.run(POINT)
    assert (hidden, hidden_again) == (False, True)
    assert words.startswith(f"{name}\n{value}") and "density" in words
    chromium.open(folder / "index.html", PHONE)
    chromium.run("document.querySelector('#minute .zoom:not(.whole)').click()")
    assert chromium.run("return document.getElementById('large').open")
    width = "return document.querySelector('dialog svg').getBoundingClientRect().width"
    assert chromium.run(width) == chromium.run(
        "return +document.querySelector('#minute image').getAttribute('width')"
    )
    keep(chromium, "index-360-large")


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: `make test-report` fetches it by npm")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_to_complain_of(
    chromium: Browser, folder: Path, size: tuple[int, int]
) -> None:
    chromium.open(folder / "index.html", size)
    assert chromium.violations() == []


def is_rehearsal(chromium: Browser) -> bool:
    """Whether the page shows a picture of the reference study."""
    return chromium.run("return document.getElementById('figure-reference') != null")


def test_the_front_page_needs_no_sideways_scrolling_on_a_phone(
    chromium: Browser, folder: Path
) -> None:
    chromium.open(folder / "index.html", PHONE)
    chromium.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert chromium.run("return document.documentElement.scrollWidth") == PHONE[0]
    assert chromium.run(TOO_WIDE) == []
    assert min(chromium.run(FONT_SIZES)) >= 13


def test_links_of_the_front_page_lead_somewhere(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "index.html")
    links = chromium.run(
        "return [...document.querySelectorAll('a')].map(e => e.getAttribute('href'))"
    )
    for link in links:
        if link.startswith("#"):
            assert chromium.run("return document.getElementById(arguments[0]) != null", link[1:])
        else:
            assert (folder / link).is_file(), link
    chromium.run("document.documentElement.style.scrollBehavior = 'auto'")
    chromium.run(CLICK, "Versions")
    assert chromium.wait("return location.hash") == "#versions"
    top = "return document.getElementById('versions').getBoundingClientRect().top"
    assert -60 < chromium.run(top) < DESKTOP[1]


def test_the_one_file_report_opens_offline_with_categories_figures_and_search(
    chromium: Browser, folder: Path
) -> None:
    chromium.open(folder / "report.html")
    chromium.wait("return document.body.innerText.includes('Iterative magnitude pruning')")
    keep(chromium, "report")
    chromium.run(CLICK, "Q-maps")
    chromium.wait("return document.querySelectorAll('tbody tr').length >= 5")
    heads = chromium.run("return [...document.querySelectorAll('th')].map(e => e.innerText)")
    assert [head.lower() for head in heads if head] == ["figure", "study", "arm", "density"]
    chromium.run(
        "[...document.querySelectorAll('tbody tr')].find(e => e.innerText.includes('ladder'))"
        ".querySelector('[iconname=eye]').click()"
    )
    largest = (
        "return [...document.images].some(e => e.complete && e.naturalWidth > 500"
        " && e.getBoundingClientRect().width > 300)"
    )
    chromium.wait(largest)
    keep(chromium, "report-figure")
    for edge, limit in (("right", DESKTOP[0]), ("bottom", DESKTOP[1])):
        place = f"return document.querySelector('.grow img').getBoundingClientRect().{edge}"
        assert chromium.run(place) <= limit, "the figure is cut"
    chromium.open(folder / "report.html", PHONE)
    chromium.wait("return document.body.innerText.includes('Iterative magnitude pruning')")
    keep(chromium, "report-phone")
    assert chromium.run("return document.documentElement.scrollWidth") == PHONE[0]
    chromium.run(CLICK, "Accuracy")
    chromium.wait("return document.querySelector('[iconname=eye]') != null")
    chromium.run("document.querySelector('[iconname=eye]').click()")
    chromium.wait(largest)
    keep(chromium, "report-phone-figure")
    edge = "return document.querySelector('[iconname=eye]').getBoundingClientRect().right"
    assert chromium.run(edge) <= PHONE[0], "the eye is out of sight"
    chromium.open(folder / "report.html")
    chromium.wait("return document.querySelector('input') != null")
    chromium.type("input", "isometry\n")
    chromium.wait("return document.querySelectorAll('tbody tr').length == 1")
    keep(chromium, "report-search")
    # Snakemake's own style sheet says in the console that it is not for production.
    assert [
        line for line in chromium.errors() if "cdn.tailwindcss.com should not" not in line
    ] == []
