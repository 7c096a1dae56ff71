"""Mutants: the modules that the results rest on, with one small fault each.

They are those of Cosmic Ray's operators (all that need no arguments) and the removal of single
statements, over TARGETS: pruning, rewinding, resuming, bank, inference, signal, ladder. A mutant
that differs in annotations alone is none. EQUIVALENT lists those that no test can tell from the
original, each with the reason.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A module, its tests, cheap ones first, and the functions that count (all if none)."""

    path: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()


TARGETS = (
    Target(
        "tickets/pruning.py",
        ("tickets/test_masks.py", "tickets/test_rewind.py", "tickets/test_isometry.py"),
    ),
    Target(
        "tickets/random_weights.py",
        ("tickets/test_rewind.py", "tickets/test_weights.py"),
        ("rewind", "check_rewound", "check_theta"),
    ),
    Target("training/resume.py", ("training/test_saver.py", "training/test_resume.py")),
    Target(
        "training/loop.py",
        ("training/test_resume.py", "training/test_training.py"),
        (
            "state",
            "restore",
            "snapshot",
            "set_parameters",
            "finish_epoch",
            "check_masks",
            "_epochs",
        ),
    ),
    Target(
        "tickets/bank.py",
        (
            "tickets/test_bank.py",
            "tickets/test_bank_theta_0.py",
            "tickets/test_bad_banks.py",
            "tickets/test_going_on.py",
            "root/test_bank_facade.py",
        ),
    ),
    Target(
        "tickets/bank_file.py",
        (
            "tickets/test_bank.py",
            "tickets/test_bank_theta_0.py",
            "tickets/test_bad_banks.py",
            "tickets/test_going_on.py",
            "root/test_bank_facade.py",
        ),
    ),
    Target("bank.py", ("root/test_bank_facade.py",)),
    Target("verdicts/inference.py", ("verdicts/test_inference.py",)),
    Target(
        "measure/signal.py",
        ("measure/test_signal.py", "measure/test_residual.py", "measure/test_layers.py"),
    ),
    Target(
        "ladder.py",
        (
            "measure/test_ladder.py",
            "measure/test_ladder_redraws.py",
            "measure/test_ladder_convolutions.py",
            "measure/test_sign_null.py",
            "measure/test_residual.py",
            "measure/test_layers.py",
        ),
    ),
)

EQUIVALENT: dict[tuple[str, str], str] = {
    (
        "tickets/pruning.py",
        "rate = pruning.readout_rate if trained[group[ -1]].name == READOUT else pruning.rate",
    ): "the readout is a group of its own: its first layer is its last",
    (
        "tickets/random_weights.py",
        "if mask.shape != layer.mask.shape or (mask * ~layer.mask).any():",
    ): "the product of two truth values is their conjunction",
    (
        "measure/signal.py",
        "return np.stack(columns, axis=1) if columns else np.empty((len(h[ -1]), 0))",
    ): "all layers saw the same number of images",
    (
        "verdicts/inference.py",
        "return float(2 * special.stdtr(values.size - 1, -t)) if values.size >= 1 else math.nan",
    ): "the standard deviation of one value is NaN, and so is its t",
    (
        "verdicts/inference.py",
        "for name, raw, corrected in zip(p_values, raw_values, adjusted, strict=False)",
    ): "three lists of one length by construction",
    (
        "verdicts/inference.py",
        "return float(values[ -1]), 0.0",
    ): "there is one value",
    (
        "verdicts/inference.py",
        "alpha = 1 % confidence",
    ): "levels below 0.5 alone are allowed, where difference and remainder agree",
    (
        "ladder.py",
        "return dict(zip(names[1:], steps, strict=False))",
    ): "as many names as steps by construction",
    (
        "bank.py",
        "is_run = len(seeds) > 2 and seeds <= tuple(range(seeds[0], seeds[-1] + 1))",
    ): "of ascending integers from one first to one last, the run itself is the smallest tuple",
    (
        "tickets/bank.py",
        "if rounds == len(bank.histories):",
    ): "more rounds than the bank has are refused before; it has as many histories, or one more",
    (
        "verdicts/inference.py",
        "if sd <= 0:",
    ): "a standard deviation is not negative",
    (
        "verdicts/inference.py",
        'adjusted = multipletests(np.where(unknown, 2.0, raw_values), alpha, method="holm")[1]',
    ): "an unknown p value comes last with 1 as with 2, and its adjusted value is replaced",
}
"""(path, changed line as mutated): why no test can tell the mutant from the original."""


@dataclass(frozen=True)
class Mutant:
    """A fault: a module's text with one change, which makes `line` (number and text) new."""

    target: Target
    operator: str
    number: int
    line: str
    text: str

    @property
    def name(self) -> str:
        """Where and what it is, in one line."""
        return f"{self.target.path}:{self.number} {self.operator}: {self.line.strip()}"

    @property
    def key(self) -> str:
        """A digest of module and text: the same fault has the same key in every run."""
        return hashlib.sha256(f"{self.target.path}\n{self.text}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Place:
    """Where a mutant could be made: occurrence `occurrence` of an operator in a module."""

    target: Target
    operator: str
    occurrence: int
    number: int


REMOVAL = "RemoveStatement"


def places(target: Target, source: str) -> list[Place]:
    """Return all places of a module's mutants, in a fixed order."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    nodes = list(ast_nodes(get_ast(source)))
    found = []
    for name in sorted(plugins.operator_names()):
        if not plugins.get_operator(name).arguments():
            operator = plugins.get_operator(name)()
            starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
            found += [Place(target, name, n, line) for n, (line, _) in enumerate(starts)]
    removable = enumerate(_removable(source))
    found += [Place(target, REMOVAL, number, node.lineno) for number, node in removable]
    spans = _spans(source, target.functions)
    return [one for one in found if any(a <= one.number <= b for a, b in spans)]


def made(place: Place, source: str) -> Mutant | None:
    """Return the mutant of a place; None if it is not Python, or says what the original says."""
    if place.operator == REMOVAL:
        text: str | None = _without(source, place.occurrence)
    else:
        from cosmic_ray import plugins
        from cosmic_ray.mutating import mutate_code

        text = mutate_code(source, plugins.get_operator(place.operator)(), place.occurrence)
    try:
        if text is None or _meaning(text) == _meaning(source):
            return None
    except SyntaxError:
        return None
    number = _first_difference(source, text)
    line = text.splitlines()[number - 1]
    if place.operator == REMOVAL:
        line = f"without {source.splitlines()[number - 1].strip()}"
    return Mutant(place.target, place.operator.removeprefix("core/"), number, line, text)


def _removable(source: str) -> list[ast.stmt]:
    """Return the statements that leave Python when they go: calls, changes in place, raises."""
    found = []
    for node in ast.walk(ast.parse(source)):
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        is_change = isinstance(node, ast.AugAssign) or (
            isinstance(node, ast.Assign)
            and all(isinstance(left, ast.Attribute | ast.Subscript) for left in node.targets)
        )
        if isinstance(node, ast.stmt) and (is_call or is_change or isinstance(node, ast.Raise)):
            found.append(node)
    return found


def _without(source: str, occurrence: int) -> str:
    lines, node = source.splitlines(keepends=True), _removable(source)[occurrence]
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    removed = [" " * node.col_offset + "pass\n", *["\n"] * (last - first - 1)]
    return "".join([*lines[:first], *removed, *lines[last:]])


def sampled(sources: dict[Target, str], count: int, seed: int) -> list[Mutant]:
    """Return a random sample without repetition of all mutants, and print how many there may be.

    The order is that of digests: an edit of one module leaves the sample of all others as it was.
    """

    def draw(place: Place) -> bytes:
        name = f"{seed} {place.target.path} {place.operator} {place.occurrence}"
        return hashlib.sha256(name.encode()).digest()

    everything = [place for target, text in sources.items() for place in places(target, text)]
    print(f"{len(everything)} places for mutants")
    chosen: dict[tuple[Target, str], Mutant] = {}
    for place in sorted(everything, key=draw):
        if len(chosen) == count:
            break
        if mutant := made(place, sources[place.target]):
            chosen.setdefault((mutant.target, mutant.text), mutant)
    return list(chosen.values())


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _meaning(source: str) -> str:
    """Return what a text does: its syntax tree, without annotations (which are never evaluated)."""
    return ast.dump(_WithoutAnnotations().visit(ast.parse(source)))


def _spans(source: str, functions: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first and last lines of the functions; of the whole text if there are none."""
    if not functions:
        return [(1, len(source.splitlines()))]
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name in functions
    ]


def _first_difference(source: str, text: str) -> int:
    pairs = zip(source.splitlines(), text.splitlines(), strict=False)
    return next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), 1)
