"""The page of the reference results: each number is the tables', with its interval."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from scipy import stats

import photograph
from ticketlens.files.csv_tables import check_unique, read_table
from ticketlens.pages import arm_titles
from ticketlens.pages.claims_page import page as claims_page
from ticketlens.pages.results_page import CAPTIONS, Numbers, render
from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts.claims import TABLES, judge_claims
from ticketlens.verdicts.study_values import nothing
from workflow_tools import REPOSITORY

PUBLISHED = REPOSITORY / "docs" / "results"


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    rows = [
        ("s", "imp", 7, "test_accuracy", 4, 0.485, 0.004),
        ("s", "imp", 7, "q", 1, -0.25, np.nan),
    ]
    columns = ["study", "arm", "round", "quantity", "n", "mean", "sd"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "reference.csv", index=False)
    return Numbers(tmp_path)


def test_a_mean_comes_with_its_t_interval_and_accuracies_in_percent(numbers: Numbers) -> None:
    half = 100 * 0.004 * stats.t.ppf(0.975, 3) / 2
    assert numbers.mean("test_accuracy", 7, "s") == f"48.50 ± {half:.2f}"
    assert numbers.mean("test_accuracy", 7, "s", bounds=False) == "48.50"
    assert numbers.mean("q", 7, "s") == "−0.25"  # one seed: no interval
    assert numbers.seeds("s", round=7) == 4


def test_a_number_that_is_not_there_is_an_error_and_not_a_gap(numbers: Numbers) -> None:
    with pytest.raises(LookupError, match=r"reference has 0 rows with .*'round': 8"):
        numbers.mean("test_accuracy", 8, "s")


def test_a_figure_comes_with_the_caption_of_the_report_or_is_an_error(tmp_path: Path) -> None:
    name = "histograms-some-net-trained"
    (tmp_path / "figures").mkdir()
    for figure in (name, "qmap_fixed_point"):
        (tmp_path / "figures" / f"{figure}.png").touch()
    numbers = Numbers(tmp_path)
    title = "Histograms of the kept weights (trained)"
    assert numbers.figure(name).startswith(f"![{title}](figures/{name}.png)\n\n*Distribution")
    assert "of some-net (state: trained)" in numbers.figure(name)
    _, caption = numbers.figure("qmap_fixed_point").split("\n\n")
    assert caption.count("*") - caption.count(r"\*") == 2 < caption.count("*")  # q* is no markup
    with pytest.raises(LookupError, match=r"has no figures/chi\.png"):
        numbers.figure("chi")
    of_a_part = Numbers(tmp_path.parent).part(tmp_path.name).figure(name)
    assert of_a_part.startswith(f"![{title}]({tmp_path.name}/figures/{name}.png)")


def test_intervals_have_signs_where_differences_do_and_no_minus_zero() -> None:
    write = Numbers(Path()).interval
    assert write(1.24, -0.04, 2.5, signed=True) == "+1.2 [−0.0, +2.5]"
    assert write(-1.24, np.nan, np.nan) == "−1.2"


def test_a_column_is_averaged_over_deep_layers_and_its_interval_is_over_seeds(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    rows = [
        ("s", seed, round_, arm, state, layer, rng.random())
        for seed in range(3)
        for round_ in (0, 7)
        for arm in ("imp", "other")
        for state in ("init", "trained")
        for layer in (1, 2, 3, 4)
        if (arm, seed) != ("other", 1)
    ]
    columns = ["study", "seed", "round", "arm", "state", "layer", "flip_fraction"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(tmp_path / "chi.csv", index=False)
    numbers = Numbers(tmp_path)

    def expected(layers: tuple[int, ...], state: str, minus: bool) -> str:
        kept = table[(table["arm"] == "imp") & (table["state"] == state)]
        kept = kept[kept["layer"].isin(layers)]
        by = 100 * kept.groupby(["round", "seed"])["flip_fraction"].mean()
        values = (by[7] - by[0] if minus else by[7]).to_numpy()
        half = stats.t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
        ends = (values.mean(), values.mean() - half, values.mean() + half)
        return "{:.3f} [{:.3f}, {:.3f}]".format(*ends).replace("-", "−")

    def found(**where: object) -> str:
        return numbers.over_seeds("chi", "flip_fraction", 7, study="s", digits=3, **where)

    assert found() == expected((3, 4), "init", minus=False)
    assert found(layer=1, state="trained") == expected((1,), "trained", minus=False)
    assert found(minus=0) == expected((3, 4), "init", minus=True)
    assert found(bounds=False) == expected((3, 4), "init", minus=False).split()[0]
    difference, _, _ = found(arm="other", minus="imp", layer=3).partition(" ")
    own = table[(table["layer"] == 3) & (table["state"] == "init") & (table["round"] == 7)]
    by_arm = 100 * own.pivot(index="seed", columns="arm", values="flip_fraction")
    assert difference == f"{(by_arm['other'] - by_arm['imp'])[[0, 2]].mean():.3f}".replace("-", "−")


def test_the_readout_is_no_deep_layer(tmp_path: Path) -> None:
    rows = [
        ("s", 0, 7, "imp", layer, "readout" if layer == 5 else f"hidden{layer}", value)
        for layer, value in enumerate((1.0, 2.0, 3.0, 5.0, 90.0), start=1)
    ]
    columns = ["study", "seed", "round", "arm", "layer", "name", "dead"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "degrees.csv", index=False)
    assert Numbers(tmp_path).over_seeds("degrees", "dead", 7, study="s") == "4.00"


def test_a_claim_of_one_round_in_all_seeds_has_no_interval(tmp_path: Path) -> None:
    pd.DataFrame(
        [("s", "imp", 0, "test_accuracy", 4, 0.47, 0.004)],
        columns=["study", "arm", "round", "quantity", "n", "mean", "sd"],
    ).to_csv(tmp_path / "reference.csv", index=False)
    pd.DataFrame(
        [
            ("s", "peak", "", 2.0, 2.0, 2.0, "supported"),
            ("s", "rise", "early", 0.1, 0.05, 0.15, "inconclusive"),
        ],
        columns=["study", "claim", "case", "number", "lower", "upper", "verdict"],
    ).to_csv(tmp_path / "claims.csv", index=False)
    numbers = Numbers(tmp_path)
    assert numbers.claim("peak", study="s") == "2 in all 4 seeds, *supported*"
    assert numbers.claim("rise", "early", "s") == "0.100 [0.050, 0.150], *inconclusive*"
    with pytest.raises(LookupError, match="0 claims 'rise'"):
        numbers.claim("rise", study="s")


def test_the_committed_page_is_what_the_committed_tables_say() -> None:
    for name in ("README.md", "details.md"):
        assert (PUBLISHED / name).read_text(encoding="utf-8") == render(PUBLISHED, name)


def test_the_first_page_is_short_and_begins_with_a_minute() -> None:
    page = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    assert len(page.split()) <= 3500
    minute = page.split("## In one minute")[1].split("\n## ")[0]
    words = [line for line in minute.splitlines() if line and not line.startswith("|")]
    assert len(" ".join(words).split()) <= 200 and minute.count("|---") == 5
    prose = re.sub(r"^(\||!|\*|#|- ).*$", "", page, flags=re.M)
    sentences = re.split(r"(?<=[.:?])\s+", " ".join(prose.split()))
    assert max(len(sentence.split()) for sentence in sentences) <= 40


PROSE = [
    "results/details.md",
    "results/zero-shot/README.md",
    "results/isometry/README.md",
    "results/comparison/README.md",
    "results/gpu-variants/README.md",
    "results/orthogonal-arms/README.md",
    "results/rewinding/README.md",
    "results/stability/README.md",
    "theory.md",
]


@pytest.mark.parametrize(
    "name", [*PROSE, "results/README.md", "results/convnet-20-epochs/README.md"]
)
def test_no_sentence_of_a_page_of_results_is_longer_than_forty_words(name: str) -> None:
    page = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    page = re.sub(r"```.*?```", "", page, flags=re.S)
    page = re.sub(r"^(\||!|#|\*(?!\*)|    ).*$", "", page, flags=re.M)
    paragraphs = re.split(r"\n\s*\n|^\s*- ", re.sub(r"\[[−+\d., ]+\]", "", page), flags=re.M)
    sentences = [s for p in paragraphs for s in re.split(r"(?<=[.:?])\s+", " ".join(p.split()))]
    assert len(sentences) > 10
    assert [sentence for sentence in sentences if len(sentence.split()) > 40] == []


@pytest.mark.parametrize("path", sorted(CAPTIONS.glob("*.rst")), ids=lambda path: path.stem)
def test_no_sentence_of_a_caption_is_longer_than_forty_words(path: Path) -> None:
    sentences = re.split(r"(?<=[.:?])\s+", " ".join(path.read_text(encoding="utf-8").split()))
    assert [sentence for sentence in sentences if len(sentence.split()) > 40] == []


def test_the_claims_of_the_reduced_convnet_are_judged_by_todays_rules() -> None:
    folder = PUBLISHED / "convnet"
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    tables = {
        name: read_table(path)
        if (path := folder / "tables" / f"{name}.csv").exists()
        else nothing()
        for name in TABLES
    }
    titles = {name: study["title"] for name, study in config["studies"].items()}
    contrasts = config["contrasts"]
    plan = Plan(
        **config["claims"],
        margin=contrasts["margin"],
        planned=contrasts["arms"],
        planned_round=contrasts["round"],
    )
    arms = arm_titles.of_config(config)
    text = claims_page(*judge_claims(tables, plan, titles), plan, titles, arms)
    rules = text.split("## At a glance")[1].split("\n## ConvNet")[0]
    assert rules in (folder / "claims.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "claims.md", "details.md"])
def test_claims_about_arms_name_them_by_their_titles(name: str) -> None:
    """The code names stand in one table of details.md alone, which says what each arm is."""
    arms = yaml.safe_load((PUBLISHED / "config.yaml").read_text(encoding="utf-8"))["arms"]
    page = (PUBLISHED / name).read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if "property X suffices" in line]
    found = [arm for arm, own in arms.items() if "title" in own for line in lines if arm in line]
    assert found == [] and bool(lines) == (name != "README.md")


def test_a_title_takes_the_place_of_whole_names_alone() -> None:
    titles = {"imp": "IMP ticket", "imp-matched": "IMP mask, own std", "plain": "plain"}
    text = "imp-matched-too − imp-matched − imp, plain, impossible"
    expected = "imp-matched-too − “IMP mask, own std” − “IMP ticket”, plain, impossible"
    assert arm_titles.by_title(text, titles) == expected


@pytest.mark.parametrize("name", ["README.md", "details.md", "claims.md"])
def test_the_committed_pages_link_to_what_is_there(name: str) -> None:
    page = (PUBLISHED / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([\w./-]+)\)", page)
    assert len(links) > 8
    assert [link for link in links if not (PUBLISHED / link).exists()] == []


@pytest.mark.parametrize(
    "table", sorted(PUBLISHED.rglob("*.csv")), ids=lambda path: str(path.relative_to(PUBLISHED))
)
def test_no_two_rows_of_a_published_table_have_the_same_keys(table: Path) -> None:
    rows = read_table(table)
    if "seed" in rows.columns:  # one row is about one run
        check_unique(table, rows)


def test_the_front_of_the_repository_has_the_answers_of_the_page() -> None:
    page = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    section = re.search(r"## In one minute\n\n(.*?)\n\n## ", page, re.DOTALL)[1]
    front = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert section.count("|") > 20
    for part in section.replace("](", "](docs/results/").split("\n\n"):
        assert part in front


def test_the_photograph_shows_the_verdicts_and_numbers_of_the_committed_tables() -> None:
    with Image.open(REPOSITORY / "docs/images/front_page.png") as image:
        assert image.text[photograph.KEYWORD] == photograph.shown(PUBLISHED), "run `make images`"
