#!/usr/bin/env bash
# Lightning's lottery ticket callback rewinds to theta_0 once; from the second pruning on it "rewinds" to trained weights.
#
# Guess: ModelPruning(use_lottery_ticket_hypothesis=True), which prunes at the end of every epoch, sets the kept weights back
#   to the initial ones each time: it keeps a deep copy of the modules from before training.
# What happens: `dst.data = src.data.to(dst.device)` copies nothing where both are on one device. After the first rewind the weights in
#   training and the copy of theta_0 are the same memory, so that each optimizer step changes both, and every later rewind does
#   nothing. Masks and densities are as they should be, and nothing is said. On a CPU; where the copy stays on another device it holds.
# Versions: pytorch-lightning 2.6.6, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 2.6.6 off theta_0 by 0.000 0.041 0.072, kept 0.80 0.64 0.51
# ticketlens writes the ticket of each round from theta_0 on disk, and asserts w == mask * theta_0 in every run.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'pytorch-lightning==2.6.6' 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelPruning
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
inputs, outputs = torch.randn(64, 20), torch.randn(64, 10)


class Network(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(20, 10)

    def training_step(self, batch, _):
        return nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Look(lightning.Callback):
    """Before each epoch: how far the ticket's weights are from mask * theta_0."""

    def __init__(self, theta_0):
        self.theta_0, self.off, self.kept = theta_0, [], []

    def on_train_epoch_start(self, trainer, network):
        if trainer.current_epoch:
            layer = network.layer
            mask = layer.weight_mask
            self.kept.append(mask.mean().item())
            self.off.append(((layer.weight_orig - self.theta_0) * mask).abs().max().item())


network = Network()
look = Look(network.layer.weight.detach().clone())
prune = ModelPruning(
    "l1_unstructured",
    parameters_to_prune=[(network.layer, "weight")],
    amount=0.2,
    use_lottery_ticket_hypothesis=True,
)
lightning.Trainer(
    max_epochs=4, callbacks=[prune, look], accelerator="cpu", logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
).fit(network, DataLoader(TensorDataset(inputs, outputs), batch_size=16))  # fmt: skip
off, kept = (" ".join(format(one, form) for one in of) for of, form in ((look.off, ".3f"), (look.kept, ".2f")))
print(f"{lightning.__version__} off theta_0 by {off}, kept {kept}")
P
seen=$(venv/bin/python -W ignore look.py 2>/dev/null | tail -n 1)
echo "$seen"
test "$seen" = '2.6.6 off theta_0 by 0.000 0.041 0.072, kept 0.80 0.64 0.51'
