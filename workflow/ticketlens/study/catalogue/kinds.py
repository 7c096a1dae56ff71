"""What an entry of the catalogue says: of a measurement, a table, a figure.

An entry names its function as text, "package.module:function", so that whoever reads the catalogue
imports none of them: the generic scripts measure.py, tabulate.py and plot.py do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ALL: Literal["all"] = "all"
State = Literal["both", "init", "trained"]
"""Whether something is about tickets, trained networks, or both."""
Networks = Literal[
    "all", "chains", "blocks", "dense", "conv", "dense blocks", "conv blocks", "conv or blocks"
]
"""Of which networks: chains of layers have no skips, blocks have; dense are fully connected."""


@dataclass(frozen=True)
class Figure:
    """A figure: `function` is called with the tables that it `reads` and its `options`, by name.

    `reads` has a table for each argument: of the IMP chains alone where `arm` is "imp", so that the
    figure needs no other arms. `options` are names of `study.options`, `fixed` arguments as they
    are. `about` is the rule's docstring. Title, category, arm and density are what the report sorts
    by; `is_key` puts it on top of the front page. A figure is drawn if its tables are made and some
    study has its `networks`; one `by_request` is not part of `all`.
    """

    function: str
    reads: Mapping[str, str]
    about: str
    category: str
    title: str
    arm: str = "imp"
    density: str = ALL
    is_key: bool = False
    options: tuple[str, ...] = ("titles",)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    networks: Networks = ALL
    experiment: str | None = None
    per_study: bool = False
    by_request: bool = False


@dataclass(frozen=True)
class Table:
    """A tidy table: `function` is called with the rule's inputs (tables read) and options, by name.

    `about` is what the front page says. A table over checkpoints has a `kind`, by which
    `measure.arms` in the config asks for its rows of arms; its rows are about some `networks`, and
    about tickets alone where training changes nothing (`state`). A large one has curves of
    every checkpoint to draw with: too large to keep in a repository.
    """

    function: str
    about: str
    kind: str = ""
    networks: Networks = ALL
    state: State = "both"
    suffix: str = "csv"
    is_large: bool = False
    by_request: bool = False


@dataclass(frozen=True)
class Measurement:
    """A measurement of one checkpoint: `function` returns its rows of each of the `tables`.

    `function` is called with the checkpoint, with its `ticket` if it asks for that, and with images
    by argument: `images` says for each argument which entry of the config's `measure` has their
    number ("all": all that there are). With labels, `labels` are theirs. `about` is the rule's
    docstring. A rule serves the studies of its `networks`; one that imports PyTorch runs in the
    environment "train".
    """

    function: str
    tables: tuple[str, ...]
    about: str
    networks: Networks = ALL
    images: Mapping[str, str] = field(default_factory=dict)
    with_ticket: bool = False
    with_labels: bool = False
    state: State = "both"
    environment: Literal["analyse", "train"] = "analyse"
    mem_mb: int = 2000
