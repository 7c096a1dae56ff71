#!/usr/bin/env bash
# pquant-ml: rewound after pruning by MDMM, a network is dense again; and by any method its biases are not rewound.
#
# Guess: `rewind: post-training-stage` with `save_weights_epoch: 0` leaves a lottery ticket: at the end of training the parameters are what they
#   were at the start, under the mask that the pruning found. With any pruning method as many weights are in use as without rewinding.
# What happens: the loop sets the weights back first and freezes the masks afterwards. The methods that keep their mask in a buffer lose nothing
#   by that ("cs", continuous sparsification: the same share). MDMM, once frozen, works its mask out anew from the weights at each forward
#   pass: which are larger than epsilon (0.001). After the rewinding these are the weights of the start, where next to none is so small. What
#   MDMM found is gone, fine-tuning goes on with a dense network, and get_layer_keep_ratio is right about that; but the mask in the buffer,
#   get_hard_mask() and checkpoints are still those of the ticket. Only weights are saved and set back, no bias: these stay trained.
# Versions: pquant-ml 0.1.0, torch 2.13.0, keras 3.15.1, hgq2 0.2.0, quantizers 1.2.2, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.1.0 weights in use: cs 55 %, rewound 55 %; mdmm 46 %, rewound 97 % (mask says 46 %); rewound layer as at the start: weights True, biases False
# ticketlens keeps masks as bits of their own and never works one out from rewound weights; biases are rewound with the weights (docs/theory.md).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check 'pquant-ml==0.1.0' 'torch==2.13.0' 'keras==3.15.1' \
  'hgq2==0.2.0' 'quantizers==1.2.2' 'numpy==2.4.6' 'optuna==5.0.0' 'pydantic==2.14.4' 2>/dev/null
cat > look.py <<'P'
import copy
import os
from importlib.metadata import version

os.environ["KERAS_BACKEND"] = "torch"

import torch
from pquant import add_compression_layers, cs_config, get_layer_keep_ratio, get_model_losses, mdmm_config, train_model
from torch import nn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
labels = torch.arange(1000) % 10
images = torch.rand(10, 784)[labels] + 0.5 * torch.randn(1000, 784)  # ten patterns under noise
images = (images - images.mean()) / images.std()
theta_0 = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))


def trained(method, rewind):
    config = method()
    config.quantization_parameters.enable_quantization = False
    plan = config.training_parameters
    plan.pretraining_epochs, plan.epochs, plan.fine_tuning_epochs, plan.rounds = 0, 40, 0, 1
    plan.rewind, plan.save_weights_epoch = rewind, 0
    network = add_compression_layers(copy.deepcopy(theta_0), config, (1, 784))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def train(model, epoch, **_):
        for first in range(0, 1000, 100):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(images[first : first + 100]), labels[first : first + 100])
            get_model_losses(model, loss).backward()
            optimiser.step()

    return train_model(network, config, train, lambda model, epoch, **_: model(images))


found = []
for method in (cs_config, mdmm_config):
    kept, rewound = (trained(method, rewind) for rewind in ("never", "post-training-stage"))
    shares = [f"{100 * float(get_layer_keep_ratio(network)):.0f} %" for network in (kept, rewound)]
    found.append(f"{method.__name__.split('_')[0]} {shares[0]}, rewound {shares[1]}")
masks = [rewound[n].pruning_layer.get_hard_mask().flatten() for n in (0, 2)]
back = [torch.equal(getattr(rewound[0], "_" + name), getattr(theta_0[0], name)) for name in ("weight", "bias")]
print(
    f"{version('pquant-ml')} weights in use: {'; '.join(found)} (mask says {100 * float(torch.cat(masks).mean()):.0f} %);",
    f"rewound layer as at the start: weights {back[0]}, biases {back[1]}",
)
P
seen=$(OMP_NUM_THREADS=1 KERAS_HOME="$work" venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.1.0 weights in use: cs 55 %, rewound 55 %; mdmm 46 %, rewound 97 % (mask says 46 %); rewound layer as at the start: weights True, biases False'
