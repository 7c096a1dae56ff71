"""Mistakes in a config: one line names the key, its value and what is allowed."""

from __future__ import annotations

import pytest

from config_tools import merged, problems, schema

NAME = "is not a valid name; allowed: lower-case letters, digits and single hyphens, starting with"
NUMBER = "written as a number (1.0e-3, not 1e-3)?"
OUTSIDE = "allowed: a relative folder below the working directory, without '..'"

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


def test_a_message_about_every_study_still_fits_on_a_screen() -> None:
    found = problems(merged("{training: {epochs: 1}, pruning: {rewind_epoch: 1}}"))
    inherit = [
        study for study in merged()["studies"].values() if "epochs" not in study.get("training", {})
    ]
    epochs = [line for line in found if "less than training.epochs" in line]
    assert len(epochs) == len(inherit) > 1
    assert len(found) < 12
