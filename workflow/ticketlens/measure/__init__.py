"""Measuring one checkpoint with numpy: signal, Jacobian, nulls, graph, weights. Never trains."""
