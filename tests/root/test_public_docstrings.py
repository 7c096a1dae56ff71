"""Public functions at the root: every one has an example that runs, arrays have stated shapes."""

from __future__ import annotations

import ast
import builtins
import doctest
import functools
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import shapes

MODULES = (
    "architecture", "bank", "checkpoint", "exchange", "ladder", "lens", "meanfield", "networks",
    "random_matrix", "seeds", "spec",
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2] / "workflow" / "ticketlens"
OF_ARRAYS = re.compile(r"ndarray|NDArray|ArrayLike|\b(Array|Values|Result|Tensor)\b")


def public(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Functions of a module that users call: its own, and what it takes in under its own name."""
    source = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    again = {
        alias.asname
        for node in source.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and (value.__module__ == module.__name__ or name in again)
    }


def load(name: str) -> ModuleType:
    return importlib.import_module(f"ticketlens.{name}")


FUNCTIONS = [(name, function) for name in MODULES for function in public(load(name))]


def test_the_modules_are_those_at_the_root() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"} == set(MODULES)


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_a_public_function_has_an_example_and_states_the_shapes_of_arrays(
    module: str, name: str
) -> None:
    function = public(load(module))[name]
    text = inspect.getdoc(function) or ""
    assert doctest.DocTestParser().get_examples(text), "no example"
    annotations = {key: str(value) for key, value in function.__annotations__.items()}
    arrays = {key for key, value in annotations.items() if is_array(value)}
    said = shapes.stated(text)
    if arrays:
        assert said is not None, "no line of shapes"
        assert {*said.arguments, *said.like} == arrays - {"return"}
        assert ("return" in arrays) == bool(said.result)
    else:
        assert said is None


def is_array(annotation: str) -> bool:
    return bool(OF_ARRAYS.search(annotation)) and "Callable[" not in annotation.split("|")[0]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_they_stand_and_arrays_have_the_stated_shapes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = load(name)
    functions = public(module)
    for key, function in functions.items():
        monkeypatch.setattr(module, key, checked(function, functions))
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    namespace: dict[str, Any] = {}
    texts = {"": module.__doc__ or ""} | {k: inspect.getdoc(f) or "" for k, f in functions.items()}
    report: list[str] = []
    for key, text in texts.items():
        example = parser.get_doctest(text, namespace, f"{name}.{key}", None, 0)
        runner.run(example, out=report.append, clear_globs=False)
        if not key:  # the examples of functions start from what the module's say
            namespace = example.globs
    assert not runner.failures, "".join(report)


def checked(
    function: Callable[..., Any], others: dict[str, Callable[..., Any]]
) -> Callable[..., Any]:
    """Return the function, which now asserts the shapes that its docstring states."""
    said = shapes.stated(inspect.getdoc(function) or "")
    if said is None:
        return function
    allowed = dict(said.arguments)
    for name, other in said.like.items():
        allowed[name] = shapes.stated(inspect.getdoc(others[other]) or "").arguments[name]

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        bound = inspect.signature(function).bind(*arguments, **named)
        sizes: dict[str, int] = {}
        for name in allowed.keys() & bound.arguments.keys():
            if bound.arguments[name] is not None:
                shapes.check(name, bound.arguments[name], allowed[name], sizes)
        result = function(*arguments, **named)
        if said.result:
            shapes.check_result(result, said, sizes)
        return result

    return call


@pytest.mark.parametrize(
    ("line", "shape", "holds"),
    [
        ("x (n,)", (3,), True),
        ("x (n,)", (3, 1), False),
        ("x (n, n)", (3, 4), False),
        ("x () or (n, k)", (3, 4), True),
        ("x (..., n)", (2, 5, 3), True),
        ("x (..., n)", (), False),
        ("x (n - 1,)", (2,), True),
    ],
)
def test_a_wrong_shape_is_told(line: str, shape: tuple[int, ...], holds: bool) -> None:
    import numpy as np

    said = shapes.stated(f"Shapes: {line}.")
    if holds:
        shapes.check("x", np.zeros(shape), said.arguments["x"], {})
        return
    with pytest.raises(AssertionError, match="the docstring says"):
        shapes.check("x", np.zeros(shape), said.arguments["x"], {})


def test_no_module_needs_its_docstring_at_run_time() -> None:
    """`python -OO` drops docstrings."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Name) or node.id != "__doc__", path


# --- one style of what a function raises --------------------------------------------------------


def docstrings() -> list[tuple[str, ast.AST, str]]:
    """Every docstring of the package: file and line, node, text."""
    return [
        (
            f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}",
            node,
            ast.get_docstring(node) or "",
        )
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))
    ]


def exceptions() -> set[str]:
    """Names of exceptions: Python's, and the classes of the package that end in one of them."""
    known = {name for name, value in vars(builtins).items() if isinstance(value, type)}
    known = {name for name in known if issubclass(getattr(builtins, name), BaseException)}
    classes = {
        node.name: {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                    for base in node.bases}
        for _, node, _ in docstrings()
        if isinstance(node, ast.ClassDef)
    }  # fmt: skip
    while new := {name for name, bases in classes.items() if bases & known} - known:
        known |= new
    return known


def test_what_is_raised_is_said_in_sentences_and_names_exceptions_that_exist() -> None:
    """`Raises ValueError for …`, or `Raises as …`; no section, no field list."""
    known, wrong = exceptions(), []
    for where, _, text in docstrings():
        if re.search(r"^\s*(Raises|:raises?\b.*):?\s*$|:raises", text, flags=re.MULTILINE):
            wrong.append(f"{where}: a section; write a sentence, `Raises ValueError for …`")
        flat = " ".join(text.split())
        for name in re.findall(r"\bRaises? ([A-Z]\w+)", flat):
            if name not in known:
                wrong.append(f"{where}: {name} is not an exception")
    assert not wrong, "\n".join(wrong)


def test_public_functions_name_what_they_raise_themselves() -> None:
    wrong = []
    for where, node, text in docstrings():
        module, _, _ = where.partition(".py")
        if module not in MODULES or not isinstance(node, ast.FunctionDef) or node.name[0] == "_":
            continue
        raised = {
            each.exc.func.id
            for each in ast.walk(node)
            if isinstance(each, ast.Raise)
            and isinstance(each.exc, ast.Call)
            and isinstance(each.exc.func, ast.Name)
        }
        is_elsewhere = re.search(r"(Raises|[Ee]rrors) as\b", text)
        wrong += [f"{where}: {name}" for name in raised if name not in text and not is_elsewhere]
    assert not wrong, "\n".join(wrong)
