"""The config: every mistake is named in one line, and the configs that come with it are valid."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import os
import re
from pathlib import PurePath
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config_tools import CONFIG, merged
from ticketlens import spec
from ticketlens.study import texts
from ticketlens.study.arms import (
    arm_rounds,
    arm_seeds,
    arm_studies,
    donor_seed,
    not_applicable,
    recipes,
    shown_arms,
)
from ticketlens.study.config import SCHEMA, ConfigError, check_files, checked, export_environment
from ticketlens.study.plan import Plan
from ticketlens.study.studies import rounds, study_spec
from ticketlens.tickets.bank import check_chain, read_bank
from workflow_tools import merged as merged_files

BANK = CONFIG.parent / "resources" / "tickets"
NAME = "is not a valid name; allowed: lower-case letters, digits and single hyphens, starting with"
NUMBER = "written as a number (1.0e-3, not 1e-3)?"
OUTSIDE = "allowed: a relative folder below the working directory, without '..'"


def overlay_file(name: str) -> dict:
    return merged((CONFIG / name).read_text(encoding="utf-8"))


def schema() -> dict:
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def problems(config: dict) -> list[str]:
    """The lines of the message, one per problem."""
    with pytest.raises(ConfigError) as caught:
        checked(config)
    first, *lines, last = str(caught.value).splitlines()
    assert first == f"the config has {len(lines)} problem(s):"
    assert last == "see config/README.md"
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


# Overlays that break a second rule as well.
AND_MORE = {"studies: {fcnet-normal: {pruning: {rewind_epoch: 50}}}": 2}
BAD = {
    "trainning: {}": "unknown key trainning; did you mean 'training'? (allowed: ",
    "zzz: 1": "unknown key zzz (allowed: ",
    "training: {epoch: 3}": "unknown key training.epoch; did you mean 'epochs'? (allowed: ",
    "networks: {fcnet: {widht: 3}}": "unknown key networks.fcnet.widht; did you mean 'width'?",
    "inits: {normal: {sigma: 1}}": "unknown key inits.normal.sigma; did you mean 'sigma_",
    "dataset: {validaton: 1}": "unknown key dataset.validaton; did you mean 'validation'?",
    "pruning: {round: 3}": "unknown key pruning.round; did you mean 'rounds'?",
    "studies: {fcnet-normal: {training: {lr: 1}}}": "unknown key studies.fcnet-normal.training.lr",
    "training: {epochs: many}": "training.epochs is 'many'; allowed: an integer",
    "training: {epochs: true}": "training.epochs is True; allowed: an integer",
    "training: {epochs: 0}": "training.epochs is 0; allowed: at least 1",
    "training: {learning_rate: 1e-3}": (
        f"training.learning_rate is '1e-3'; allowed: a finite number; did you mean 0.001, {NUMBER}"
    ),
    "training: {learning_rate: 0}": "training.learning_rate is 0; allowed: more than 0",
    "training: {learning_rate: .nan}": "training.learning_rate is nan; allowed: a finite number",
    "inits: {normal: {sigma_w: .inf}}": "inits.normal.sigma_w is inf; allowed: a finite number",
    "inits: {normal: {sigma_b: -0.3}}": "inits.normal.sigma_b is -0.3; allowed: at least 0",
    "training: {momentum: 1}": "training.momentum is 1; allowed: less than 1",
    "training: {tf32: 1}": "training.tf32 is 1; allowed: true or false",
    "training: {optimizer: sdg}": (
        "training.optimizer is 'sdg'; allowed: sgd, adam; did you mean 'sgd'?"
    ),
    "training: {optimizer: ADAM}": (
        "training.optimizer is 'ADAM'; allowed: sgd, adam; did you mean 'adam'?"
    ),
    "training: {optimizer: [sgd]}": "training.optimizer is ['sgd']; allowed: sgd, adam",
    "training: null": "training is None; allowed: a mapping",
    "networks: [fcnet]": "networks is ['fcnet']; allowed: a mapping",
    "networks: {convnet: {kernel: 4}}": "networks.convnet.kernel is 4; allowed: an odd number",
    "networks: {fcnet: {hidden_layers: 99}}": (
        "networks.fcnet.hidden_layers is 99; allowed: at most 98"
    ),
    "networks: {fcnet: {activation: tahn}}": "networks.fcnet.activation is 'tahn'; allowed: tanh,",
    "pruning: {rounds: 2.5}": "pruning.rounds is 2.5; allowed: an integer",
    "pruning: {rounds: 3.0}": "pruning.rounds is 3.0; allowed: an integer",
    "pruning: {rounds: 100}": "pruning.rounds is 100; allowed: at most 99",
    "pruning: {rate: 0}": "pruning.rate is 0; allowed: more than 0",
    "pruning: {rate: 1}": "pruning.rate is 1; allowed: less than 1",
    "pruning: {criterion: magnitud}": "pruning.criterion is 'magnitud'; allowed: magnitude,",
    "results: /tmp/../results": f"results is '/tmp/../results'; {OUTSIDE}",
    "results: results/../..": f"results is 'results/../..'; {OUTSIDE}",
    "results: workflow": f"results is 'workflow'; {OUTSIDE}",
    "results: config/mine": f"results is 'config/mine'; {OUTSIDE}",
    "results: .git/results": f"results is '.git/results'; {OUTSIDE}",
    "results: results//x": f"results is 'results//x'; {OUTSIDE}",
    "results: ./results": f"results is './results'; {OUTSIDE}",
    "results: ''": f"results is ''; {OUTSIDE}",
    'results: "results\\n"': f"results is 'results\\n'; {OUTSIDE}",
    "results: 3": "results is 3; allowed: text",
    "dataset: {name: /etc/x}": f"dataset.name: '/etc/x' {NAME}",
    "dataset: {name: ''}": f"dataset.name: '' {NAME}",
    "dataset: {name: ../x}": f"dataset.name: '../x' {NAME}",
    "dataset: {source: floder}": (
        "dataset.source is 'floder'; allowed: embedded, folder, torchvision, cifar100, mnist, "
        "fashion-mnist, idx; did you mean 'folder'?"
    ),
    "dataset: {path: ''}": "dataset.path is ''; allowed: a non-empty text",
    "inits: {../x: {scheme: gaussian, sigma_w: 1, sigma_b: 0}}": f"inits: '../x' {NAME}",
    **{
        f"studies: {{{name!r}: {{network: fcnet, init: normal, seeds: [0]}}}}": (
            f"studies: {name!r} {NAME}"
        )
        for name in ("../x", "/tmp/x", "a/b", "", ".", "..", "a..b", "größe", "a b", "~", "a%2fb")
    },
    f"studies: {{{61 * 'a'}: {{network: fcnet, init: normal, seeds: [0]}}}}": (
        f"studies is '{61 * 'a'}'; allowed: at most 60 characters"
    ),
    "arms: {../x: {mask: imp, weights: rewind}}": f"arms: '../x' {NAME}",
    "networks: {FCNet: {family: fully-connected, hidden_layers: 2, width: 8}}": (
        f"networks: 'FCNet' {NAME}"
    ),
    "studies: {a--b: {network: fcnet, init: normal, seeds: [0]}}": f"studies: 'a--b' {NAME}",
    "studies: {fcnet-normal: {network: fcent}}": (
        "studies.fcnet-normal.network is 'fcent', which networks does not define (defined: fcnet, "
        "convnet, resnet-fc, resnet-conv); did you mean 'fcnet'?"
    ),
    "studies: {fcnet-normal: {init: normla}}": (
        "studies.fcnet-normal.init is 'normla', which inits does not define (defined: normal, "
    ),
    "studies: {fcnet-normal: {init: zzz}}": "studies.fcnet-normal.init is 'zzz', which inits does",
    "studies: {fcnet-normal: {seeds: [1, 2, 1]}}": (
        "studies.fcnet-normal.seeds is [1, 2, 1]; allowed: no entry twice"
    ),
    "studies: {fcnet-normal: {seeds: [-1]}}": (
        "studies.fcnet-normal.seeds.0 is -1; allowed: at least 0"
    ),
    "studies: {fcnet-normal: {seeds: ['0']}}": (
        f"studies.fcnet-normal.seeds.0 is '0'; allowed: an integer; did you mean 0, {NUMBER}"
    ),
    "studies: {fcnet-normal: {seeds: [0.0]}}": (
        "studies.fcnet-normal.seeds.0 is 0.0; allowed: an integer"
    ),
    "studies: {fcnet-normal: {seeds: 3}}": "studies.fcnet-normal.seeds is 3; allowed: a list",
    "studies: {fcnet-normal: {seeds: []}}": (
        "studies.fcnet-normal.seeds is []; allowed: 1 or more entries"
    ),
    "studies: {fcnet-normal: {title: 2024-01-31}}": (
        "studies.fcnet-normal.title is datetime.date(2024, 1, 31); allowed: text"
    ),
    "studies: {fcnet-normal: {tickets: banked}}": (
        "studies.fcnet-normal.tickets is 'banked'; allowed: train, bank, continue, files; did you "
        "mean 'bank'?"
    ),
    "studies: {fcnet-normal: nothing}": "studies.fcnet-normal is 'nothing'; allowed: a mapping",
    "studies: {fcnet-normal: null, fcnet-orthogonal: null, convnet-normal: null, "
    "resnet-fc-normal: null, resnet-conv-normal: null}": (
        "studies is {}; allowed: 1 or more entries"
    ),
    "studies: {fcnet-normal: {pruning: {rewind_epoch: 50}}}": (
        "studies.fcnet-normal: pruning.rewind_epoch is 50; allowed: less than training.epochs (50)"
    ),
    "networks: {resnet-fc: {hidden_layers: 8}}": (
        "networks.resnet-fc.hidden_layers is 8; allowed for family 'resnet-fc': odd numbers: a "
        "stem, 2 per block"
    ),
    "networks: {convnet: {stride: [1, 2]}}": (
        "networks.convnet.stride is [1, 2]; allowed: a number, or a list with one for each of the 8"
    ),
    "networks: {convnet: {stride: [1, 2, 2, 1, 1, 1, 1, 0]}}": (
        "networks.convnet.stride.7 is 0; allowed: at least 1"
    ),
    "networks: {convnet: {stride: 1.5}}": (
        "networks.convnet.stride is 1.5; allowed: an integer or a list"
    ),
    "networks: {convnet: {kernel: [3, 3, 4, 3, 3, 3, 3, 3]}}": (
        "networks.convnet.kernel.2 is 4; allowed: an odd number"
    ),
    "networks: {resnet-conv: {stride: [1, 1, 2, 1, 1, 1, 1, 1, 1]}}": (
        "networks.resnet-conv.stride is [1, 1, 2, 1, 1, 1, 1, 1, 1]; allowed for family "
        "'resnet-conv': 1"
    ),
    "networks: {mine: {family: fully-connected, width: 3}}": (
        "missing key networks.mine.hidden_layers"
    ),
    "networks: {resnet-conv: {stride: 2}}": (
        "networks.resnet-conv.stride is 2; allowed for family 'resnet-conv': 1"
    ),
    "studies: {fcnet-normal: {training: {warmup_epochs: 60}}}": (
        "studies.fcnet-normal: training.warmup_epochs is 60; allowed: less than training.epochs"
    ),
    "training: {sparse_below: 1.5}": "training.sparse_below is 1.5; allowed: at most 1",
    "training: {sparse_kernel: csr}": "training.sparse_kernel is 'csr'; allowed: c",
    "studies: {fcnet-normal: {training: {sparse_below: 0.4}}}": (
        "studies.fcnet-normal: training.sparse_below is 0.4 with training.device 'auto'; allowed: "
    ),
    "studies: {resnet-fc-normal: {training: {sparse_below: 0.4, device: cpu}}}": (
        "studies.resnet-fc-normal: training.sparse_below is 0.4 for a resnet-fc network; allowed: 0"
    ),
    "{networks: {convnet: {activation: erf}}, studies: {convnet-normal: {training: {sparse_below: "
    "0.4, device: cpu}}}}": (
        "studies.convnet-normal: training.sparse_below is 0.4 for a convolutional network of "
        "activation 'erf'; allowed: hard_tanh, relu, tanh"
    ),
    "training: {precision: half}": "training.precision is 'half'; allowed: float32, bfloat16",
    "studies: {fcnet-normal: {training: {precision: bfloat16}}}": (
        "studies.fcnet-normal: training.precision is 'bfloat16' with training.device 'auto'; "
        "allowed: cpu"
    ),
    "studies: {fcnet-normal: {training: {precision: bfloat16, device: cpu, sparse_below: 0.4}}}": (
        "studies.fcnet-normal: training.precision is 'bfloat16' with training.sparse_below 0.4"
    ),
    "studies: {convnet-normal: {training: {precision: bfloat16, device: cpu}}}": (
        "studies.convnet-normal: training.precision is 'bfloat16' with training.sparse_below 0.55; "
        "allowed: 0"
    ),
    "studies: {convnet-normal: {training: {precision: bfloat16, device: auto, sparse_below: 0}}}": (
        "studies.convnet-normal: training.precision is 'bfloat16' with training.device 'auto'; "
        "allowed: cpu"
    ),
    "studies: {convnet-normal: "
    "{training: {precision: bfloat16, device: cpu, sparse_below: 0.4}}}": (
        "studies.convnet-normal: training.precision is 'bfloat16' with training.sparse_below 0.4"
    ),
    "arms: {imp: null}": "missing key arms.imp",
    "arms: {x: {mask: unifrom, weights: fresh}}": (
        "arms.x.mask is 'unifrom'; allowed: imp, imp-other-seed, shuffle-layer, shuffle-in-degree, "
        "rewire, uniform, erk, one-shot, magnitude-at-init, exact-orthogonal, dense-small, "
        "snip, grasp, synflow; did you mean 'uniform'?"
    ),
    "arms: {x: {mask: uniform, weights: freshh}}": "arms.x.weights is 'freshh'; allowed: rewind,",
    "arms: {x: {mask: uniform, weights: exact-orthogonal}}": (
        "arms.x.weights 'exact-orthogonal' exist on their own masks alone, not on mask 'uniform'; "
        "allowed: mask 'exact-orthogonal'"
    ),
    "arms: {x: {mask: uniform}}": "missing key arms.x.weights",
    "arms: {x: {mask: uniform, weights: fresh, sigma: 1}}": (
        "unknown key arms.x.sigma; did you mean 'sigma_w'?"
    ),
    "arms: {x: {mask: uniform, weights: fresh, biases: keep}}": (
        "arms.x.biases is 'keep'; allowed: kept, drawn"
    ),
    "arms: {x: {mask: imp, weights: rewind}}": (
        "arms.x is {mask: imp, weights: rewind}, the IMP ticket itself; allowed: imp"
    ),
    "arms: {x: {mask: uniform, weights: scaled}}": "missing key arms.x.sigma_w, which weights",
    "arms: {x: {mask: uniform, weights: fresh, sigma_w: 2}}": (
        "arms.x.sigma_w has no effect with weights 'fresh'; allowed with: scaled"
    ),
    "arms: {x: {mask: uniform, weights: fresh-matched, signs: kept}}": (
        "arms.x.signs has no effect with weights 'fresh-matched'; allowed with: inverse-cdf"
    ),
    "experiments: {bimodal: {arms: [imp, small-bimodel]}}": (
        "experiments.bimodal.arms has 'small-bimodel', which is not defined; did you mean "
        "'small-bimodal'?"
    ),
    "experiments: {std_experiment: {study: fcnet}}": (
        "experiments.std_experiment.study has 'fcnet', which is not defined"
    ),
    "arms: {x: {mask: uniform, weights: fresh, rounds: [3, 3]}}": (
        "arms.x.rounds is [3, 3]; allowed: no entry twice"
    ),
    "arms: {x: {mask: uniform, weights: fresh, studies: [fcnet-norml]}}": (
        "arms.x.studies has 'fcnet-norml', which studies does not define (defined: fcnet-normal, "
    ),
    "interventions: {studies: [fcnet]}": "interventions.studies has 'fcnet', which studies does",
    "interventions: {donor_offset: 0}": "interventions.donor_offset is 0; allowed: at least 1",
    "contrasts: {arms: [rewired]}": (
        "contrasts.arms has 'rewired', which is no arm to compare with imp (defined: imp-other-seed"
    ),
    "contrasts: {arms: [a, b, c, d, e, f, g]}": (
        "contrasts.arms is ['a', 'b', 'c', 'd', 'e', 'f', 'g']; allowed: at most 6 entries"
    ),
    "contrasts: {round: 8}": (
        "contrasts.round is 8, at which arm 'imp-other-seed' is not made; allowed: 3, 7, 10"
    ),
    "measure: {arms: [chi]}": "measure.arms.0 is 'chi'; allowed: signal, weights, degrees,",
    "arms: {x: {mask: uniform, weights: fresh, rounds: [0], studies: [fcnet-normal]}}": (
        "arms.x in study fcnet-normal: mask 'uniform' at round 0, where every weight is kept"
    ),
    "arms: {x: {mask: one-shot, weights: fresh, rounds: [1], studies: [fcnet-normal]}}": (
        "arms.x in study fcnet-normal: mask 'one-shot' at round 1 is the IMP mask; allowed: rounds"
    ),
    "arms: {x: {mask: erk, weights: shuffled-values, studies: [fcnet-normal]}}": (
        "arms.x in study fcnet-normal: weights 'shuffled-values' need as many places as values in "
        "every layer, which mask 'erk' does not keep; allowed: imp, imp-other-seed, shuffle-layer"
    ),
    "arms: {x: {mask: imp, weights: fresh, biases: drawn, studies: [fcnet-orthogonal]}}": (
        "arms.x in study fcnet-orthogonal: biases 'drawn', but sigma_b is 0; allowed: kept"
    ),
    "arms: {x: {mask: uniform, weights: inverse-cdf, source_round: 16, studies: [fcnet-normal]}}": (
        "arms.x in study fcnet-normal: source_round is 16; allowed: at most 15, the study's last"
    ),
    "{training: {data_order: 2}, arms: {x: {mask: imp, weights: rewind, data_order: 2, "
    "studies: [fcnet-normal]}}}": (
        "arms.x in study fcnet-normal: data_order 2 is the study's own (training.data_order); "
        "allowed: other numbers"
    ),
    "arms: {x: {mask: imp, weights: rewind, sparse_below: 0.5, studies: [fcnet-normal]}}": (
        "arms.x is {mask: imp, weights: rewind}, the IMP ticket itself; allowed: imp"
    ),
    "arms: {x: {mask: uniform, weights: fresh, sparse_below: 0, studies: [fcnet-normal]}}": (
        "arms.x.sparse_below is 0; allowed: more than 0"
    ),
    "arms: {x: {mask: uniform, weights: fresh, sparse_below: 0.5, studies: [resnet-fc-normal]}}": (
        "arms.x in study resnet-fc-normal: training.sparse_below is 0.5 for a resnet-fc network; "
        "allowed: none"
    ),
    "{networks: {convnet: {activation: erf}}, arms: {x: {mask: uniform, weights: fresh, "
    "sparse_below: 0.5, studies: [convnet-normal]}}, studies: {convnet-normal: {training: "
    "{sparse_below: 0}}}}": (
        "arms.x in study convnet-normal: training.sparse_below is 0.5 for a convolutional network "
        "of activation 'erf'; allowed: hard_tanh, relu, tanh"
    ),
    "{arms: {x: {mask: uniform, weights: fresh, sparse_below: 0.5, studies: [fcnet-normal]}}, "
    "studies: {fcnet-normal: {training: {device: cuda}}}}": (
        "arms.x in study fcnet-normal: training.sparse_below is 0.5 with training.device 'cuda'; "
        "allowed: cpu"
    ),
    "{arms: {x: {mask: uniform, weights: fresh, sparse_below: 0.5, studies: [fcnet-normal]}}, "
    "studies: {fcnet-normal: {training: {device: cpu, precision: bfloat16}}}}": (
        "arms.x in study fcnet-normal: training.precision is 'bfloat16' with training.sparse_below "
        "0.5; allowed: none"
    ),
    "{arms: {x: {mask: uniform, weights: fresh, sparse_below: 0.5, studies: [fcnet-normal]}}, "
    "studies: {fcnet-normal: {training: {kernel: stacked}}}}": (
        "arms.x in study fcnet-normal: training.kernel is 'stacked' with sparse_below 0.5; "
        "allowed: none"
    ),
    "{arms: {x: {mask: uniform, weights: fresh, data_order: 3, studies: [fcnet-orthogonal]}}, "
    "studies: {fcnet-orthogonal: {training: {data_order: 3}}}}": (
        "arms.x in study fcnet-orthogonal: data_order 3 is the study's own"
    ),
    "arms: {x: {mask: exact-orthogonal, weights: exact-orthogonal, studies: [convnet-normal]}}": (
        "arms.x in study convnet-normal: 'exact-orthogonal' is for fully connected networks; list "
    ),
    "{contrasts: {arms: []}, arms: {imp-sign-kept: null, x: {mask: imp, weights: sign-redrawn, "
    "studies: [convnet-normal]}}, studies: {convnet-normal: {init: orthogonal}}}": (
        "arms.x in study convnet-normal: weights 'sign-redrawn' need a sign for every weight"
    ),
    "{interventions: {donor_offset: 1}, arms: {imp-other-seed-matched: null}, "
    "studies: {fcnet-orthogonal: {seeds: [3, 5]}, "
    "convnet-normal: {seeds: [3]}}}": (
        "arms.imp-other-seed in study fcnet-normal: donor seed 1 has arms itself; allowed: "
    ),
    "{interventions: {donor_offset: 3, donor_modulo: 8, studies: [fcnet-normal]}, "
    "arms: {imp-other-seed-matched: null}, studies: {fcnet-normal: {seeds: [0, 8]}}}": (
        "arms.imp-other-seed in study fcnet-normal: seed 8 with interventions.donor_modulo 8: two "
        "seeds could have one donor; allowed: seeds below 8"
    ),
    "{interventions: {donor_offset: 16, donor_modulo: 8, studies: [fcnet-normal]}, "
    "arms: {imp-other-seed-matched: null}}": (
        "arms.imp-other-seed in study fcnet-normal: interventions.donor_offset is a multiple of "
        "donor_modulo 8: every seed would be its own donor"
    ),
    "interventions: {donor_modulo: 1}": "interventions.donor_modulo is 1; allowed: at least 2",
    "1: 2": "unknown key 1 (allowed: ",
}


@pytest.mark.parametrize("overlay", BAD)
def test_a_bad_config_gets_one_line_that_names_key_value_and_what_is_allowed(overlay: str) -> None:
    found = problems(merged(overlay))
    assert len(found) == 1 + AND_MORE.get(overlay, 0)
    assert found[0].startswith(BAD[overlay])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("studies", "missing key studies"),
        ("arms", "missing key arms"),
        ("dataset.path", "missing key dataset.path"),
        ("training.epochs", "missing key training.epochs"),
        ("pruning.readout_rate", "missing key pruning.readout_rate"),
        ("networks.fcnet.width", "missing key networks.fcnet.width"),
        ("inits.normal.scheme", "missing key inits.normal.scheme"),
        ("studies.fcnet-normal.seeds", "missing key studies.fcnet-normal.seeds"),
    ],
)
def test_a_missing_key_is_named(path: str, message: str) -> None:
    config = merged()
    *parents, last = path.split(".")
    table = config
    for key in parents:
        table = table[key]
    del table[last]
    assert problems(config) == [message]


def test_an_empty_config_names_every_missing_key_once() -> None:
    assert problems({}) == [f"missing key {key}" for key in schema()["required"]]


def test_all_problems_are_reported_at_once() -> None:
    found = problems(merged("{zzz: 1, training: {epochs: 0}, results: ../x, dataset: {name: A}}"))
    assert len(found) == 4


def test_problems_of_form_hide_none_of_sense() -> None:
    found = problems(
        merged(
            "{zzz: 1, networks: {fcnet: {family: mine}}, "
            "studies: {fcnet-orthogonal: {init: normla}}, pruning: {rate: 0.99}}"
        )
    )
    for part in ("unknown key zzz", "family is 'mine'", "is 'normla'"):
        assert sum(part in line for line in found) == 1, part
    assert any("which leaves none of the 65,536 weights of layer hidden2" in line for line in found)


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


def test_the_folders_of_all_shipped_configs_are_no_names_of_studies() -> None:
    """results/quick/chi.png is the quick run's, and would be a study's that is called quick."""
    loaded = [yaml.safe_load(file.read_text()) for file in CONFIG.rglob("*.yaml")]
    paths = [PurePath(config["results"]) for config in loaded if "results" in config]
    folders = {path.parts[1] for path in paths if len(path.parts) > 1}
    assert len(folders) > 15
    assert folders - texts.RESERVED == set()
    assert not texts.RESERVED & {name for config in loaded for name in config.get("studies") or ()}


def test_a_key_that_stands_twice_in_one_mapping_is_refused(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "training: {epochs: 3}\narms:\n  a: {mask: imp, mask: erk}\ntraining: {batch_size: 9}\n"
    )
    with pytest.raises(ConfigError, match="2 problem") as caught:
        check_files([file])
    assert f"{file}: arms.a.mask stands in lines 3 and 3" in str(caught.value)
    assert f"{file}: training stands in lines 1 and 4; YAML would keep" in str(caught.value)
    check_files([CONFIG / "quick.yaml", tmp_path / "none.yaml"])


def test_merge_keys_and_anchors_are_no_repeated_keys(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: &x {b: 1}\nc: {<<: *x, d: 2}\n")
    check_files([file])


def test_a_message_about_every_study_still_fits_on_a_screen() -> None:
    found = problems(merged("{training: {epochs: 1}, pruning: {rewind_epoch: 1}}"))
    inherit = [
        study for study in merged()["studies"].values() if "epochs" not in study.get("training", {})
    ]
    epochs = [line for line in found if "less than training.epochs" in line]
    assert len(epochs) == len(inherit) > 1
    assert len(found) < 12


def test_a_magnitude_at_init_mask_is_no_rival_where_it_is_the_criterion() -> None:
    found = problems(
        merged(
            "{pruning: {criterion: magnitude-at-init}, arms: {x: {mask: magnitude-at-init, "
            "weights: fresh, studies: [fcnet-normal]}}}"
        )
    )
    assert found == [
        "arms.x in study fcnet-normal: mask 'magnitude-at-init' is the IMP mask with this "
        "pruning.criterion"
    ]


def test_arms_are_made_at_the_rounds_that_a_study_has() -> None:
    config = checked(merged("{studies: {convnet-normal: {pruning: {rounds: 5}}}}"))
    assert arm_rounds(config, "rewire", "fcnet-normal") == [3, 7, 10]
    assert arm_rounds(config, "rewire", "convnet-normal") == [3]
    own = "{arms: {rewire: {rounds: [16, 12, 2], studies: [fcnet-normal]}}}"
    allowed = "{interventions: {studies: [fcnet-normal, convnet-normal]}}"
    config = checked(merged(own, allowed))
    assert arm_rounds(config, "rewire", "fcnet-normal") == [2, 12]
    assert arm_rounds(config, "rewire", "convnet-normal") == []
    assert arm_rounds(config, "uniform-density", "convnet-normal") == [3, 7, 10]
    assert arm_rounds(config, "uniform-density", "fcnet-orthogonal") == []


def test_without_studies_in_interventions_no_arm_is_made() -> None:
    config = checked(merged("{interventions: {studies: []}}"))
    for name in recipes(config):
        assert not any(arm_rounds(config, name, study) for study in config["studies"])
    assert shown_arms(config, "bimodal") == ["imp"]


def test_arms_are_made_for_the_seeds_that_they_or_interventions_name() -> None:
    config = checked(merged("{interventions: {seeds: [0, 2, 99]}, arms: {rewire: {seeds: [1]}}}"))
    assert arm_seeds(config, "uniform-density", "fcnet-normal") == [0, 2]
    assert arm_seeds(config, "rewire", "fcnet-normal") == [1]
    assert arm_seeds(checked(merged()), "rewire", "fcnet-orthogonal") == [0, 1, 2]


def test_donors_may_be_seeds_of_the_study_that_have_no_arms() -> None:
    config = merged("{interventions: {seeds: [0, 1, 2, 3], donor_offset: 4}}")
    assert checked(config)["studies"]["fcnet-normal"]["seeds"] == list(range(8))


def test_donors_wrap_so_that_all_seeds_lend_each_other_their_masks() -> None:
    config = checked(merged("{interventions: {donor_offset: 3, donor_modulo: 8}}"))
    seeds = config["studies"]["fcnet-normal"]["seeds"]
    donors = [donor_seed(config, seed) for seed in seeds]
    assert donors == [3, 4, 5, 6, 7, 0, 1, 2]
    assert sorted(donors) == seeds


def test_an_experiment_shows_the_arms_that_are_made() -> None:
    config = checked(merged("{pruning: {rounds: 6}, contrasts: {round: 3}}"))
    assert shown_arms(config, "std_experiment") == ["imp"]
    assert shown_arms(config, "bimodal") == config["experiments"]["bimodal"]["arms"]
    del config["experiments"]
    assert shown_arms(config, "bimodal") == []


def test_donor_seeds_lie_outside_the_study() -> None:
    config = checked(merged())
    for study in config["studies"].values():
        assert not {donor_seed(config, seed) for seed in study["seeds"]} & set(study["seeds"])


def test_arms_are_made_in_residual_networks_only_where_the_config_says_so() -> None:
    config = checked(merged())
    assert arm_rounds(config, "rewire", "resnet-fc-normal") == []
    own = "interventions: {studies: [resnet-fc-normal]}"
    assert arm_rounds(checked(merged(own)), "rewire", "resnet-fc-normal") == [3, 7, 10]


def test_a_config_without_interventions_makes_no_arms() -> None:
    config = merged()
    del config["interventions"]
    assert arm_rounds(checked(config), "rewire", "fcnet-normal") == []


def test_at_round_0_arms_of_other_masks_are_skipped_and_named_as_not_applicable() -> None:
    config = checked(merged("interventions: {rounds: [0, 3, 7, 10]}"))
    assert arm_rounds(config, "rewire", "fcnet-normal") == [3, 7, 10]
    assert arm_rounds(config, "imp-sign-redrawn", "fcnet-normal") == [7, 10]  # its own rounds
    named = not_applicable(config)
    assert ("fcnet-normal", 0, "rewire") in named and {number for _, number, _ in named} == {0}
    assert not {arm for _, _, arm in named} & {"imp-matched", "imp-sign-redrawn"}
    assert not_applicable(checked(merged())) == []


def test_the_planned_comparison_has_eight_arms_at_three_rounds() -> None:
    config = checked(merged())
    planned = [
        name
        for name in recipes(config)
        if {3, 7, 10} <= set(arm_rounds(config, name, "fcnet-orthogonal"))
    ]
    assert len(planned) == 7


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIG.glob("*.yaml")))
def test_shipped_configs_are_valid_and_describe_runs(name: str) -> None:
    config = checked(overlay_file(name))
    for study in config["studies"]:
        assert study_spec(config, study).training.epochs >= 1
        assert rounds(config, study) >= 1


def test_no_shipped_overlay_mixes_with_the_study_or_another() -> None:
    folders = [overlay_file(path.name)["results"] for path in CONFIG.glob("*.yaml")]
    assert len(set(folders)) == len(folders)


def test_a_shipped_config_reads_every_chain_of_the_bank() -> None:
    read = set()
    overlays: list[tuple[str, ...]] = [("bank",), ("bank-variants",), ("convnet-20-epochs",)]
    overlays += [("precision-chains", "precision-chains/bank")]
    for names in [*overlays, ("comparison", "comparison/pilot-bank")]:
        config = merged_files(*names)
        for study, entry in config["studies"].items():
            for seed in entry["seeds"]:
                found = read_bank(BANK / study / f"seed{seed}.h5")
                check_chain(found, study, seed, study_spec(config, study))
                assert entry["tickets"] == "continue" or found.rounds >= rounds(config, study)
                read.add((study, f"seed{seed}.h5"))
    assert read == {(path.parent.name, path.name) for path in BANK.glob("*/*.h5")}


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


def test_jobs_draw_to_files_whatever_a_notebook_says(monkeypatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYTHONPATH", "")
    export_environment()
    assert os.environ["MPLBACKEND"] == "agg"


def test_lenet_is_its_chains_alone() -> None:
    """An arm with rounds of its own would be trained in every study: no section, no limit."""
    plan = Plan(checked(merged((CONFIG / "lenet.yaml").read_text(encoding="utf-8"))), "results")
    assert plan.trained == ["lenet-he"] and not plan.has_arms
