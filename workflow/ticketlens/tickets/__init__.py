"""Making tickets: initial weights, pruning, arms and their sources, the ticket bank."""
