"""Training a ticket: the loop, one step, gradients, sparse layers, devices, resuming."""
