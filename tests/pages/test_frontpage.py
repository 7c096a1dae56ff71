"""The front page: everything that is there is shown, nothing that is shown is trusted."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config_tools import merged
from ticketlens.pages import completeness, frontpage_data, one_minute
from ticketlens.pages.frontpage import Page, caption, render, tally
from ticketlens.pages.numbers import duration, number
from ticketlens.pages.pictures import Picture, picture
from ticketlens.study.catalogue import figures
from ticketlens.study.catalogue.tables import TABLES
from ticketlens.study.config import checked
from ticketlens.study.plan import Plan
from ticketlens.verdicts.claims import CLAIMS
from workflow_tools import REPOSITORY, rules

TEMPLATE = (REPOSITORY / "workflow/report/index.html.j2").read_text(encoding="utf-8")
SCRIPT = (REPOSITORY / "workflow/report/index.js").read_text(encoding="utf-8")
FULL = checked(yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8")))
PICTURES = [
    Picture("accuracy", 1200, 800, "Accuracy against density.", "iVBO"),
    Picture("histograms-fcnet-normal-init", 900, 700, "Histograms."),
    Picture("unheard_of", 10, 10, "New."),
]
CLAIM = {
    **{"study": "fcnet-normal", "claim": "std grows", "case": "", "number": "0.25", "n": "3"},
    **{"lower": "0.125", "upper": "-1e-07", "verdict": "supported", "figure": "accuracy.png"},
}


class Parsed(HTMLParser):
    """Ids, links, images and the text of a page; unbalanced tags are an error."""

    EMPTY = ("meta", "link", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids, self.links, self.images, self.words = [], [], [], []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.images += [values] if tag == "image" else []
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(**changes: object) -> str:
    parts = {"config": FULL, "pictures": PICTURES, "tables": ["accuracy", "unheard_of"]}
    return render(Page(**{**parts, **changes}), TEMPLATE, SCRIPT)


def test_every_figure_and_table_is_there_with_its_caption_and_links() -> None:
    found = Parsed(page())
    assert {image["id"] for image in found.images} == {f"image-{p.name}" for p in PICTURES}
    assert found.images[0]["href"] == "data:image/png;base64,iVBO"
    for own in PICTURES:
        assert own.caption in found.text and f"{own.name}.pdf" in found.links
    assert "tables/accuracy.csv" in found.links
    assert TABLES["accuracy"].about in found.text
    assert "Histograms of the kept weights (init), fcnet-normal" in found.text


def test_links_within_the_page_lead_to_what_is_there_once() -> None:
    for found in (Parsed(page()), Parsed(page(claims=[CLAIM]))):
        inner = {link[1:] for link in found.links if link.startswith("#")}
        assert inner <= set(found.ids)
        assert len(found.ids) == len(set(found.ids))


def test_the_page_needs_no_network_and_allows_its_own_script_alone() -> None:
    html = page(claims=[CLAIM])
    assert not re.search(r"(src|href)=\"(https?:)?//|@import|url\(", html)
    assert Parsed(html).tags.count("script") == 2  # the curves, as data, and the script
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    (allowed,) = re.findall(r"script-src 'sha256-([^']+)'", policy)
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed
    assert "default-src 'none'" in policy and "http" not in policy


def test_claims_have_words_numbers_and_a_link_to_their_figure() -> None:
    found = Parsed(page(claims=[CLAIM]))
    assert "✓ supported" in found.text
    assert "[0.125, −1e−07]" in found.text
    assert "#figure-accuracy" in found.links
    assert "1 supported, 0 contradicted, 0 inconclusive" in found.text


def test_answers_and_first_figure_come_before_the_claims() -> None:
    row = {**CLAIM, "claim": "tickets beat the dense network", "case": "last epoch"}
    minute = one_minute.of_claims([{**row, "quantity": "accuracy (points)"}])
    html = page(claims=[CLAIM], minute=minute)
    order = ("do tickets win?", 'id="image-accuracy"', "The claims")
    places = [html.index(text) for text in order]
    assert places == sorted(places)
    assert html.count('id="image-accuracy"') == 1
    assert "0.25 [0.125, −1e−07] points" in Parsed(html).text


def test_a_rehearsal_says_so_shows_the_reference_first_and_folds_its_own_claims() -> None:
    text = (REPOSITORY / "docs/results/README.md").read_text(encoding="utf-8")
    reference = one_minute.of_page(text)
    assert len(reference) == 8 and all(row.answer and row.number for row in reference)
    assert not any("*" in row.number or "](" in row.number for row in reference)
    config = yaml.safe_load((REPOSITORY / "config/quick.yaml").read_text(encoding="utf-8"))
    said = one_minute.rehearsal({**FULL, "dataset": config["dataset"]})
    assert said.startswith("embedded images") and one_minute.rehearsal(FULL) == ""
    first = picture("accuracy", REPOSITORY / "docs/results/figures/accuracy.png", "Reference.")
    html = page(claims=[CLAIM], minute=reference, first=first, rehearsal=said)
    order = ("This run is a rehearsal", reference[0].answer, "image-reference", "image-accuracy")
    places = [html.index(text) for text in order]
    assert places == sorted(places)
    assert "<details><summary>Every verdict of this rehearsal" in html
    assert "<details open><summary>Every verdict" in page(claims=[CLAIM])


def test_a_page_without_the_table_of_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="In one minute"):
        one_minute.of_page("## In one minute\n\nNothing.\n\n| a | b |\n")


def test_questions_are_about_claims_that_there_are() -> None:
    assert {question.claim for question in one_minute.QUESTIONS} <= set(CLAIMS)


def test_an_open_question_is_open_and_a_decided_case_is_named() -> None:
    row = {**CLAIM, "claim": "new: property X suffices", "verdict": "inconclusive", "case": "a"}
    assert one_minute.of_claims([row])[0].answer == "open"
    answer = one_minute.of_claims([row, {**row, "case": "b", "verdict": "contradicted"}])[0].answer
    assert answer == "no: b"


def test_without_claims_the_page_does_not_mention_them() -> None:
    assert "claims" not in Parsed(page()).ids


def test_figures_of_claims_that_are_not_on_the_page_are_linked_as_files() -> None:
    assert "chi.png" in Parsed(page(claims=[{**CLAIM, "figure": "chi.png"}])).links


HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} & \"'"


def test_hostile_names_are_shown_and_never_run() -> None:
    config = {**FULL, "studies": {k: {**v, "title": HOSTILE} for k, v in FULL["studies"].items()}}
    row = {**CLAIM, "claim": HOSTILE, "case": HOSTILE, "figure": f"{HOSTILE}.png"}
    row |= {"verdict": HOSTILE, "quantity": HOSTILE, "remark": HOSTILE}
    curve = [HOSTILE, HOSTILE, [[1, 2, 3, 4]]]
    panel = {"title": HOSTILE, "x": HOSTILE, "y": [HOSTILE], "box": [0, 0, 900, 9]}
    shown = {
        "panels": [{**panel, "curves": [curve], "legend": legend} for legend in ([], [curve[:2]])]
    }
    html = page(
        config=config,
        pictures=[Picture("accuracy", 1, 1, HOSTILE, HOSTILE, shown)],
        minute=[one_minute.Row(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
        rehearsal=HOSTILE,
        claims=[row],
        installed={"python": HOSTILE},
        recorded={"torch": [HOSTILE]},
        run_times=[frontpage_data.RunTime(HOSTILE, 1, 1.0, 1.0, 1.0)],
    )
    found = Parsed(html)
    assert found.tags.count("script") == 2 and "img" not in found.tags
    assert len(found.images) == 1
    assert HOSTILE in found.text


@given(st.text(st.sampled_from("<>&\"'/=!-;{}%# abé"), max_size=30))
def test_any_title_is_shown_as_it_is(title: str) -> None:
    config = {**FULL, "studies": {"fcnet-normal": {**FULL["studies"]["fcnet-normal"]}}}
    config["studies"]["fcnet-normal"]["title"] = title
    assert " ".join(title.split()) in Parsed(page(config=config, pictures=PICTURES[:1])).text


def test_the_config_on_the_page_is_the_config() -> None:
    html = page()
    shown = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", html, flags=re.DOTALL)[1]
    parser = Parsed("<code>" + shown + "</code>")
    assert checked(yaml.safe_load("".join(parser.words))) == FULL


def test_the_summary_counts_what_the_config_asks_for() -> None:
    config = {**FULL, "studies": {"fcnet-normal": {**FULL["studies"]["fcnet-normal"]}}}
    config["studies"]["fcnet-normal"]["seeds"] = [0, 1, 2, 5]
    config["interventions"] = {"studies": []}
    found = frontpage_data.summary(config)
    assert found.startswith("1 study with 4 chains of iterative magnitude pruning")
    assert "15 rounds of pruning" in found and "arm" not in found
    assert "rival arms at rounds" in frontpage_data.summary(FULL)
    assert frontpage_data.studies(config)[0]["seeds"] == "0–2, 5"


def test_captions_are_filled_in_as_in_the_report() -> None:
    text = (REPOSITORY / "workflow/report/histograms.rst").read_text(encoding="utf-8")
    found = caption(text, "histograms-fcnet-normal-trained")
    assert "of fcnet-normal (state: trained)" in found and "{{" not in found


def test_run_times_are_grouped_by_rule_and_study(tmp_path: Path) -> None:
    head = "s\th:m:s\tmax_rss\n"
    for place, seconds in (("a/seed0", 2), ("a/seed1", 4), ("b/seed0", 60)):
        file = tmp_path / "train" / place / "round00" / "imp.tsv"
        file.parent.mkdir(parents=True)
        file.write_text(f"{head}{seconds}\t0:00:02\t{100 * seconds}\n")
    (tmp_path / "prepare_dataset.tsv").write_text(f"{head}1.5\t0:00:01\t-\n")
    (tmp_path / "empty.tsv").touch()
    found = {row.rule: row for row in frontpage_data.run_times(tmp_path)}
    assert set(found) == {"train a", "train b", "prepare_dataset"}
    row = found["train a"]
    assert (row.jobs, row.total, row.median, row.memory) == (2, 6.0, 3.0, 400.0)
    shown = Parsed(page(run_times=list(found.values()))).text
    assert "train b 1 1 min 00 s" in shown


def test_a_table_that_is_not_claims_is_refused(tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("study,claim\nfc,x\n")
    with pytest.raises(ValueError, match=r"claims\.csv.*lower"):
        frontpage_data.claims(tmp_path / "claims.csv", {})


def test_what_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chi.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"chi\.png"):
        picture("chi", tmp_path / "chi.png")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min")],
        *[(7260, "2 h 01 min"), (200_000, "2 d 8 h")],
    ],
)
def test_durations_read_like_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_have_three_digits_and_missing_ones_a_dash() -> None:
    shown = [number(text) for text in ("", "0.123456", "-2", "123456.7", "1e-9", "nan")]
    assert shown == ["–", "0.123", "−2", "123457", "1e−09", "nan"]


def test_a_case_with_several_numbers_is_one_verdict() -> None:
    assert tally([CLAIM, CLAIM, {**CLAIM, "study": "b"}]).startswith("2 supported")


def reported() -> list[tuple[str, str, str, str]]:
    """Figure, caption, category and labels of every report() of the rules."""
    pattern = r'report\(\s*"<results>/([\w{}-]+)\.png",\s*caption="([^"]+)",\s*category="([^"]+)"'
    pattern += r",\s*labels=labels\(([^)]*)\)"
    texts = {rule.text for rule in rules()}
    return sorted({found for text in texts for found in re.findall(pattern, text)})


def test_every_figure_of_the_report_has_its_own_caption_category_and_labels() -> None:
    found = reported()
    drawn = {
        name
        for rule in rules()
        for name in re.findall(r'png=report\(\s*"<results>/([\w{}-]+)\.png"', rule.text)
    }
    assert {figure for figure, *_ in found} == drawn
    for figure, text, category, arguments in found:
        key = figures.key(figure)
        assert key in figures.FIGURES, f"{figure}: an entry in figures.FIGURES is missing"
        assert (REPOSITORY / "workflow/report" / Path(text).name).stem == key
        assert (REPOSITORY / "workflow/report" / Path(text).name).is_file()
        assert category == figures.entry(figure).category
        assert arguments.startswith(f'"{key}"')


def test_categories_of_the_catalogue_have_an_order() -> None:
    assert {entry.category for entry in figures.FIGURES.values()} == set(figures.CATEGORIES)


def test_files_that_tables_rest_on_and_that_are_gone_are_listed(tmp_path: Path) -> None:
    config = checked(merged((REPOSITORY / "config/quick.yaml").read_text(encoding="utf-8")))
    foundations = Plan(config, "<results>").foundations
    files = completeness.missing_files(foundations, str(tmp_path))
    assert f"{tmp_path}/checkpoints/fcnet-normal/seed1/round03/imp/trained.h5" in files
    assert f"{tmp_path}/measurements/qmap/fcnet-normal/seed0/round00/imp/init.csv" in files
    for path in map(Path, files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert completeness.missing_files(foundations, str(tmp_path)) == []
    Path(files[3]).unlink()
    missing = completeness.missing_files(foundations, str(tmp_path))
    assert missing == [files[3]]
    assert f"snakemake {files[3]} all" in completeness.message(missing)
    found = Parsed(page(missing=missing))
    assert "missing" in found.ids and f"snakemake {files[3]} all" in found.text
    assert "missing" not in Parsed(page()).ids


def test_the_kinds_of_cpu_that_a_study_was_trained_on_are_counted(tmp_path: Path) -> None:
    table = tmp_path / "accuracy.csv"
    table.write_text(
        "study,seed,cpu_capability\na,0,Intel AVX2\na,1,Intel AVX2\n"
        'a,2,"Intel AVX2, Intel AVX512"\nb,0,\n'
    )
    kinds = completeness.kinds_of_cpu(table)
    assert kinds["a"] == {"Intel AVX2": 2, "Intel AVX2, Intel AVX512": 1}
    assert completeness.sentence(kinds["a"]) == (
        "2 kinds of CPU: Intel AVX2 (2 networks); Intel AVX2, Intel AVX512 (1 network)"
    )
    assert completeness.sentence(kinds["b"]) == "kind of CPU not recorded (1 network)"
    assert "2 kinds of CPU" in Parsed(page(cpus={"a": completeness.sentence(kinds["a"])})).text
    assert completeness.kinds_of_cpu(tmp_path / "none.csv") == {}
