"""ticketlens: the lottery ticket hypothesis through the lens of random matrix theory.

The modules at the root are public and stable: `checkpoint`, `spec`, `architecture`, `seeds`,
`networks`, `meanfield`, `random_matrix`, `ladder`, `bank`, `exchange`, `lens`. The folders are the
rooms of the workflow, from the bottom up; docs/architecture.md says what each may import:

    theory      activations, Gaussian moments, laws of random matrices; no data
    files       atomic writes, HDF5, data sets, sources of images, tidy tables
    tickets     initial weights, pruning, arms and their sources, the ticket bank
    training    the loop, one step, gradients, sparse layers, resuming
    measure     signal, Jacobian, nulls, graph, weights of one checkpoint; measure/conv with torch
    tables      the tidy rows of one checkpoint
    verdicts    intervals, contrasts, claims, reference results
    figures     one pure function a figure, from tidy tables
    study       what a config says and makes: studies, arms, catalogue, costs
    pages       front page, results page, claims, progress
    jobs        the rerun trigger, the log of a job, checks before the first one
"""

__version__ = "0.1.0"
