"""What a config may say, what null removes, and that every key has its place and its words."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config_tools import CONFIG, merged, problems, schema
from ticketlens import spec
from ticketlens.study.arms import arm_studies
from ticketlens.study.config import ConfigError, checked
from ticketlens.study.plan import Plan
from ticketlens.study.studies import rounds, study_spec


@pytest.mark.parametrize("folder", ["taken", "taken/x"])
def test_results_where_a_file_stands_are_refused(folder, tmp_path, monkeypatch) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.chdir(tmp_path)
    (line,) = problems(merged(f"results: {folder}"))
    assert line.startswith(f"results is '{folder}', but taken is a file; allowed: a folder")


def test_a_home_folder_and_an_absolute_one_may_hold_results(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    assert checked(merged("results: ~/runs"))["results"] == "/home/user/runs"
    assert checked(merged("results: /scratch/runs"))["results"] == "/scratch/runs"


def test_sections_may_be_null_as_studies_may(monkeypatch) -> None:
    for section in ("experiments", "contrasts", "factorial", "claims"):
        assert section not in checked(merged(f"{section}: null"))


@pytest.mark.parametrize("title", [r"$\foo$", "$x", "$$", r"$\frac{1}$"])
def test_a_title_that_no_figure_can_draw_is_refused(title: str) -> None:
    config = merged()
    config["studies"]["fcnet-normal"]["title"] = title
    (line,) = problems(config)
    assert line.startswith(f"studies.fcnet-normal.title is {title!r}; allowed: text, with formulas")


@pytest.mark.parametrize(
    ("title", "allowed"),
    [
        ("two\nlines", "text in one line, without control characters"),
        ("\x1b[31mred", "text in one line, without control characters"),
        ("right \u202eto left", "text in one line, without control characters"),
        ("  ", "a text that is not blank"),
        ("\u65e5 q", "characters that the figures' font, DejaVu Sans, has (it lacks '\u65e5')"),
    ],
)
def test_a_title_that_readers_would_not_see_as_written_is_refused(title: str, allowed: str) -> None:
    config = merged()
    config["studies"]["fcnet-normal"]["title"] = title
    (line,) = problems(config)
    assert line == f"studies.fcnet-normal.title is {title!r}; allowed: {allowed}"


@pytest.mark.parametrize("number", [2**63, 10**400])
@pytest.mark.parametrize("key", ["networks.fcnet.width", "training.epochs", "dataset.split_seed"])
def test_no_integer_has_more_than_64_bits(key: str, number: int) -> None:
    config = merged()
    section: Any = config
    *above, last = key.split(".")
    for name in above:
        section = section[name]
    section[last] = number
    (line,) = problems(config)
    assert line.startswith(f"{key} is ") and line.endswith("; allowed: at most 9223372036854775807")
    assert len(line) < 300


@pytest.mark.parametrize("title", [r"$\sigma_{w}=1.4$", r"10 \$ and more", "a_b", "50 %"])
def test_titles_are_text_with_formulas(title: str) -> None:
    config = merged()
    config["studies"]["fcnet-normal"]["title"] = title
    assert checked(config)["studies"]["fcnet-normal"]["title"] == title


@pytest.mark.parametrize("name", ["tables", "checkpoints", "quick"])
def test_a_study_is_not_called_as_a_folder_of_results(name: str) -> None:
    found = problems(merged(f"studies: {{{name}: {{network: fcnet, init: normal, seeds: [0]}}}}"))
    assert found == [
        f"studies.{name}: the name is that of a folder of results; allowed: another name"
    ]


def test_null_removes_a_study_and_leaves_the_others() -> None:
    config = checked(merged("studies: {fcnet-orthogonal: null}"))
    assert set(config["studies"]) == set(merged()["studies"]) - {"fcnet-orthogonal"}


def test_null_removes_an_experiment() -> None:
    assert "bimodal" not in checked(merged("experiments: {bimodal: null}"))["experiments"]


def test_null_removes_what_names_the_entry_too() -> None:
    config = checked(
        merged("{arms: {uniform-bimodal: null, rewire: null}, studies: {convnet-normal: null}}")
    )
    assert config["claims"]["bimodal_arm"] is None
    assert "uniform-bimodal" not in config["experiments"]["bimodal"]["arms"]
    assert "uniform-bimodal" not in config["contrasts"]["arms"]
    config = checked(merged("studies: {fcnet-normal: null}"))
    assert not config["experiments"]
    assert arm_studies(config, "imp-fresh") == []


def test_a_removed_network_that_a_study_needs_is_a_problem() -> None:
    found = problems(merged("networks: {convnet: null}"))
    assert found[0].startswith("studies.convnet-normal.network is 'convnet', which networks does")


def test_checking_leaves_the_config_as_it_was() -> None:
    config = merged("studies: {fcnet-orthogonal: null}")
    before = copy.deepcopy(config)
    checked(config)
    assert config == before


def test_a_study_overrides_training_and_pruning_of_the_config() -> None:
    config = checked(
        merged("studies: {fcnet-normal: {training: {epochs: 7}, pruning: {rounds: 5, rate: 0.5}}}")
    )
    study, other = (study_spec(config, name) for name in ("fcnet-normal", "convnet-normal"))
    assert (study.training.epochs, study.pruning.rate) == (7, 0.5)
    assert (other.training.epochs, other.pruning.rate) == (50, 0.2)
    assert (rounds(config, "fcnet-normal"), rounds(config, "convnet-normal")) == (5, 15)


def test_the_number_of_rounds_is_no_part_of_the_spec() -> None:
    short, long = (checked(merged(f"pruning: {{rounds: {count}}}")) for count in (2, 9))
    assert study_spec(short, "fcnet-normal") == study_spec(long, "fcnet-normal")


@pytest.mark.parametrize(
    ("section", "fields", "others"),
    [
        ("network", spec.NetworkSpec, set()),
        ("init", spec.InitSpec, set()),
        ("training", spec.TrainingSpec, set()),
        ("pruning", spec.PruningSpec, {"rounds"}),
    ],
)
def test_schema_and_spec_have_the_same_keys(section: str, fields: type, others: set) -> None:
    document = schema()
    entries = {
        "network": document["properties"]["networks"]["additionalProperties"],
        "init": document["properties"]["inits"]["additionalProperties"],
        "training": document["$defs"]["training"],
        "pruning": document["$defs"]["pruning"],
    }
    assert set(entries[section]["properties"]) == others | {
        field.name for field in dataclasses.fields(fields)
    }


def test_families_and_activations_have_their_forward_pass_and_their_theory() -> None:
    """The config offers what the light registries have; PyTorch's have the same names."""
    from ticketlens import architecture, networks
    from ticketlens.theory import activations

    assert set(architecture.FAMILIES) == set(networks.FAMILIES)
    assert set(activations.ACTIVATIONS) == set(networks.ACTIVATIONS)


@pytest.mark.parametrize(
    ("module", "registry", "overlay"),
    [
        ("architecture", "FAMILIES", "networks: {fcnet: {family: mine}}"),
        ("theory.activations", "ACTIVATIONS", "networks: {fcnet: {activation: mine}}"),
        ("tickets.initialization", "SCHEMES", "inits: {normal: {scheme: mine}}"),
        ("tickets.pruning", "CRITERIA", "pruning: {criterion: mine}"),
        ("files.sources", "SOURCES", "dataset: {source: mine}"),
    ],
)
def test_the_config_allows_what_a_registry_has(
    monkeypatch, module: str, registry: str, overlay: str
) -> None:
    found = getattr(importlib.import_module(f"ticketlens.{module}"), registry)
    (line,) = problems(merged(overlay))
    assert "is 'mine'; allowed: " + ", ".join(found) in line
    monkeypatch.setitem(found, "mine", next(iter(found.values())))
    checked(merged(overlay))


def test_defaults_of_the_spec_are_valid_config_values() -> None:
    defaults = dataclasses.asdict(spec.Spec())
    config = merged()
    config["networks"]["fcnet"] = defaults["network"]
    config["inits"]["normal"] = defaults["init"]
    config["training"] = defaults["training"]
    config["pruning"] = {**defaults["pruning"], "rounds": 1}
    assert study_spec(checked(config), "fcnet-normal") == spec.Spec()


def schema_keys(node: object) -> set[str]:
    """All property names anywhere in the schema."""
    if isinstance(node, list):
        return set().union(*(schema_keys(entry) for entry in node))
    if not isinstance(node, dict):
        return set()
    properties = node.get("properties", {})
    return set(properties).union(*(schema_keys(entry) for entry in node.values()))


def test_the_readme_explains_every_key() -> None:
    text = (CONFIG / "README.md").read_text(encoding="utf-8")
    missing = {key for key in schema_keys(schema()) if not re.search(rf"\b{key}\b[`:]", text)}
    assert not missing


def places(config: object, path: tuple = ()) -> list[tuple]:
    """The paths of all entries of a nested config."""
    entries = config.items() if isinstance(config, dict) else []
    return [path] * bool(path) + [
        place for key, value in entries for place in places(value, (*path, key))
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("place", [("experiments", "bimodal", "study"), ("claims", "bimodal_arm")])
def test_a_list_where_a_name_belongs_is_said(place: tuple[str, ...]) -> None:
    config = merged()
    *path, last = place
    table = config
    for key in path:
        table = table[key]
    table[last] = ["imp"]
    with pytest.raises(ConfigError, match=r"\.".join(place)):
        checked(config)


@settings(max_examples=60, deadline=None)
@given(place=st.sampled_from(places(merged())), value=VALUES)
def test_any_value_anywhere_is_either_a_run_or_a_clear_message(place: tuple, value: object) -> None:
    config = merged()
    table = config
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    try:
        valid = checked(config)
    except ConfigError:
        return  # any other exception fails the test
    for study in valid["studies"]:
        assert study_spec(valid, study).to_json()
        assert rounds(valid, study) >= 0


def test_threads_are_part_of_a_spec_in_float32_alone() -> None:
    half = "precision: bfloat16, device: cpu, kernel: onednn, sparse_below: 0"
    text = """studies:
      convnet-normal: {training: {%s}}
      fcnet-normal: {training: {%s}}
      resnet-fc-normal: {training: {%s}}
    """
    plain = Plan(checked(merged(text % (half, half, "device: cpu"))), "results")
    options = [f"{one}, threads: 3" for one in (half, half, "device: cpu")]
    plan = Plan(checked(merged(text % tuple(options))), "results")
    assert plan.threads["convnet-normal"] == 3
    assert plan.threads["fcnet-normal"] == 1  # a fully connected step is not shared
    assert plan.threads["resnet-fc-normal"] == 3
    assert plan.threads["resnet-conv-normal"] == 1
    for study in ("convnet-normal", "fcnet-normal"):
        assert plan.specs[study].sha256 == plain.specs[study].sha256
    assert plan.specs["resnet-fc-normal"].training.threads == 3
