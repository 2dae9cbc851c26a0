"""The site in a real Chromium, opened from the disk: it is set as it should be, can be searched and asks for no network."""

import subprocess
import sys
from functools import lru_cache

import pytest

from tests.notebook_code import NOTEBOOKS, ROOT

PAGES = ["index", *(path.stem for path in NOTEBOOKS), "terms"]
COLUMNS = "x" * 88
CUT = """() => [...document.querySelectorAll('div.cell_input pre')].filter(
    element => element.textContent.split('\\n').every(line => line.length <= 88) && element.scrollWidth > element.clientWidth
).map(element => element.textContent.slice(0, 60))"""
UNFOLD = "() => document.querySelectorAll('details').forEach(element => element.open = true)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site with the outputs that are committed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-D", "run=committed", "notebooks", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def look(site, browser):
    """A function that opens a page of the site; what it asked for and complained of is in `page.asked` and `page.said`."""

    @lru_cache
    def open_page(name, width=1400, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        page.set_default_timeout(120_000)
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("requestfailed", lambda request: page.said.append(f"not there: {request.url}"))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.goto((site / f"{name}.html").as_uri())
        if page.locator(".math").count():
            page.evaluate("() => MathJax.startup.promise")
        page.evaluate("() => document.fonts.ready.then(() => true)")
        page.wait_for_timeout(300)
        return page

    return open_page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_but_files(look, name):
    page = look(name)
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.said == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_formulas_are_set_in_mathjax_s_own_fonts(look, path):
    page = look(path.stem)
    assert page.locator("mjx-container").count() == page.locator(".math").count() > 5
    assert page.locator("mjx-merror").count() == 0
    fonts = page.evaluate("() => document.fonts.ready.then(all => [...all].map(font => [font.status, font.family]))")
    loaded = [family for status, family in fonts if status == "loaded"]
    assert any(family.strip('"').startswith("MJX") for family in loaded)


@pytest.mark.parametrize("name", PAGES)
def test_code_is_whole_on_a_screen_and_nothing_leaves_a_phone(look, name):
    page = look(name)
    page.evaluate(UNFOLD)
    assert page.evaluate(CUT) == [], "code of at most 88 columns is cut"
    if page.locator("div.cell_input pre").count():
        widest = page.evaluate(
            """line => {
                const pre = [...document.querySelectorAll('div.cell_input pre')].find(element => element.clientWidth > 0);
                const before = pre.innerHTML;
                pre.textContent = line;
                const over = pre.scrollWidth - pre.clientWidth;
                pre.innerHTML = before;
                return over;
            }""",
            COLUMNS,
        )
        assert widest <= 0, "a line of 88 columns is cut"
    phone = look(name, width=390)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", PAGES)
def test_dark_mode_is_dark_and_its_text_is_light(look, name):
    page = look(name, scheme="dark")
    colours = "element => getComputedStyle(element)[{!r}].match(/\\d+/g).slice(0, 3).map(Number)"
    text = page.locator("article p").first.evaluate(colours.format("color"))
    paper = page.locator("html").evaluate(colours.format("backgroundColor"))
    if paper == [0, 0, 0]:  # transparent: the body has the colour
        paper = page.locator("body").evaluate(colours.format("backgroundColor"))
    assert max(paper) < 60 and min(text) > 150


def test_search_finds_a_word_without_a_network(look):
    page = look("search")
    page.goto(page.url + "?q=backpropagation")
    page.wait_for_selector("#search-results li a")
    found = [link.get_attribute("href") for link in page.locator("#search-results li a").all()]
    assert any(NOTEBOOKS[0].stem in address for address in found)
    assert [url for url in page.asked if not url.startswith("file:")] == []
