#!/usr/bin/env bash
# lottery-ticket-pruner with Keras 3 finds nothing to prune, and says nothing: every ticket is the dense network.
#
# Guess: the package asks for keras >= 2.1.0, so that with Keras 3 it prunes, or stops with an error.
# What happens: a layer counts as prunable if 'keras.layers' is part of its module's name. In Keras 3 that is keras.src.layers.core.dense,
#   for each of its layers. calc_prune_mask and apply_pruning loop over none; the strategies by layer return without a word, the
#   global one logs that it was asked for no pruning. Accuracies of fifteen rounds are then those of one dense network trained again.
# Versions: lottery-ticket-pruner 0.8.1, keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.8.1 zeros after pruning half: smallest_weights 0.0 0.0, smallest_weights_global 0.0 0.0, large_final 0.0 0.0
# ticketlens asserts after each pruning that a layer has the number of weights that its rate leaves.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'lottery-ticket-pruner==0.8.1' 'keras==3.15.1' 'tensorflow-cpu==2.21.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import keras
from lottery_ticket_pruner import LotteryTicketPruner

found = []
for strategy in ("smallest_weights", "smallest_weights_global", "large_final"):
    layers = [keras.layers.Dense(30, activation="tanh"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((20,)), *layers])
    pruner = LotteryTicketPruner(model)
    pruner.set_pretrained_weights(model)
    pruner.calc_prune_mask(model, 0.5, strategy)
    pruner.apply_pruning(model)
    zeros = [(weights == 0).mean() for weights in model.get_weights() if weights.ndim > 1]
    found.append(f"{strategy} {' '.join(f'{share:.1f}' for share in zeros)}")
print(version("lottery_ticket_pruner"), "zeros after pruning half:", ", ".join(found))
P
seen=$(CUDA_VISIBLE_DEVICES='' TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python -W ignore look.py 2>/dev/null | tail -n 1)
echo "$seen"
test "$seen" = '0.8.1 zeros after pruning half: smallest_weights 0.0 0.0, smallest_weights_global 0.0 0.0, large_final 0.0 0.0'
