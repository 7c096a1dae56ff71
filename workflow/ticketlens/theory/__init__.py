"""Mathematics without data: activations, Gaussian expectations, laws of random matrices.

Imports no other room.
"""
