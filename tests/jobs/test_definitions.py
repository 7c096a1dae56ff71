"""A digest covers the definitions that a script reaches: where they stand does not matter."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlens.jobs.fingerprint import fingerprint
from ticketlens.jobs.names import DefinitionError

LIBRARY = Path(__file__).resolve().parents[2] / "workflow" / "ticketlens"
Project = Callable[..., str]
RUN = "from lens.main import run\n\nrun()\n"
MAIN = """
from lens import masks
from lens.sizes import SIZE as SMALL

def run():
    return masks.cut(SMALL)

def other():
    return 1
"""
MASKS = """
import numpy as np

LIMIT = 3

def cut(size):
    return np.minimum(size, LIMIT)

def unused():
    return LIMIT + 1
"""
MODULES = {"__init__": "", "main": MAIN, "masks": MASKS, "sizes": "SIZE = 7\n"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write a project afresh, with changed modules (dots for folders), return its fingerprint."""
    count = iter(range(100))

    def write(script: str = RUN, entries: dict | None = None, name="run", **changed: str) -> str:
        root = tmp_path / f"clone{next(count)}"
        for module, text in {**MODULES, **changed}.items():
            file = root / "lens" / module.replace("__DOT__", "/")
            file = file if file.suffix else file.with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (root / f"{name}.py").write_text(script, encoding="utf-8")
        return fingerprint(root / f"{name}.py", root / "lens", entries)

    return write


def in_room(**modules: str) -> dict[str, str]:
    return {f"room__DOT__{name}": text for name, text in modules.items()}


# --- what counts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "cut(SMALL)", "cut(SMALL + 1)"),
        ("masks", "minimum", "maximum"),
        ("masks", "LIMIT = 3", "LIMIT = 4"),
        ("masks", "import numpy as np", "import cupy as np"),
        ("sizes", "7", "8"),
        ("sizes", "SIZE = 7", "SIZE = 7\nSIZE += 1"),
        ("masks", "LIMIT = 3", "LIMIT = 3\nnp.seterr(all='raise')"),
        ("masks", "LIMIT = 3", "LIMIT = 3\nif LIMIT:\n    LIMIT = 4"),
    ],
)
def test_a_definition_in_reach_counts(project: Project, module: str, old: str, new: str) -> None:
    assert old in MODULES[module]
    assert project(**{module: MODULES[module].replace(old, new)}) != project()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "return 1", "return 2"),
        ("masks", "LIMIT + 1", "LIMIT + 2"),
        ("masks", "def unused", "def cut_more(x):\n    return x\n\ndef unused"),
        ("sizes", "SIZE", "OTHER = 2\nSIZE"),
    ],
)
def test_another_definition_of_the_same_file_does_not(
    project: Project, module: str, old: str, new: str
) -> None:
    assert project(**{module: MODULES[module].replace(old, new)}) == project()


def test_statements_of_a_module_count_for_all_who_import_it(project: Project) -> None:
    """They run on import, even where no name of the module is used."""
    quiet = {"main": MAIN + "\nimport lens.style\n", "style": "import numpy\nX = 1\n"}
    loud = quiet | {"style": "import numpy\nX = 1\nnumpy.seterr(all='raise')\n"}
    assert project(**quiet) == project()
    assert project(**loud) != project(**quiet)


def test_a_decorator_of_the_project_counts_wherever_its_module_is_imported(
    project: Project,
) -> None:
    """It may put the function into a registry."""
    registry = "FOUND = []\ndef keep(f):\n    FOUND.append(f)\n    return f\n"
    plugin = "from lens.registry import keep\n@keep\ndef plug():\n    return 1\n"
    main = (
        "from lens import plugin\nfrom lens.registry import FOUND\ndef run():\n    return FOUND\n"
    )
    modules = {"registry": registry, "main": main}
    found = project(**modules, plugin=plugin)
    assert project(**modules, plugin=plugin.replace("return 1", "return 2")) != found


def test_fields_defaults_decorators_and_methods_count_with_their_class(project: Project) -> None:
    main = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n@dataclass\nclass Box:\n"
        "    size: int = 3\n    def area(self, by: float = 2.0):\n        return self.size * by\n"
        "def run():\n    return Box()\n"
    )
    found = project(main=main)
    for old, new in (
        ("= 3", "= 4"), ("= 2.0", "= 2.5"), ("self.size *", "self.size +"),
        ("@dataclass", "@dataclass(frozen=True)"), ("size: int", "size: ClassVar[int]"),
    ):  # fmt: skip
        assert project(main=main.replace(old, new)) != found, new
    assert project(main=main.replace("size: int", "size: float")) == found


def test_a_field_named_as_a_module_reads_nothing_of_it(project: Project) -> None:
    main = (
        "from dataclasses import dataclass\nfrom lens import masks\n@dataclass\nclass Box:\n"
        "    masks: list[int]\ndef run():\n    return Box([1])\n"
    )
    found = project(main=main, masks=MASKS)
    assert project(main=main, masks=MASKS + "\nUNUSED = 1\n") == found
    used = main.replace("Box([1])", "Box(masks.cut(1))")
    changed = project(main=used, masks=MASKS.replace("minimum", "maximum"))
    assert project(main=used, masks=MASKS) != changed


def test_a_local_name_hides_a_definition(project: Project) -> None:
    main = (
        "from lens.masks import cut\nfrom lens.sizes import SIZE\ndef run(cut):\n    return cut\n"
    )
    found = project(main=main)
    assert project(main=main, masks=MASKS.replace("minimum", "maximum")) == found


@pytest.mark.parametrize(
    "body",
    [
        "return [cut(1) for _ in range(3)]",
        "x = [cut for cut in range(3)]\n    return cut",
        "def inner():\n        return cut\n    return inner",
        "return lambda x=cut: x",
        "class Inner:\n        cut = cut\n    return Inner",
        "global cut\n    cut = cut",
        "import lens.masks as m\n    return m.cut",
        "from .masks import cut as other\n    return other",
        "import lens.masks\n    return lens.masks.cut",
        "from lens import masks\n    return sorted([masks])",
        "try:\n        from lens.masks import cut as c\n    except ImportError:\n        c = None\n"
        "    return c",
    ],
)
def test_a_name_is_followed_in_every_scope(project: Project, body: str) -> None:
    main = f"from lens.masks import cut\ndef run():\n    {body}\n"
    found = project(main=main)
    assert project(main=main, masks=MASKS.replace("minimum", "maximum")) != found


def test_what_a_name_was_before_counts_where_it_is_bound_again(project: Project) -> None:
    main = "from lens.masks import cut\ncut = sorted([cut])\ndef run():\n    return cut\n"
    found = project(main=main)
    assert project(main=main, masks=MASKS.replace("minimum", "maximum")) != found


def test_who_calls_whom_counts_not_only_who_is_there(project: Project) -> None:
    main = "from lens import one, two\ndef run():\n    return {} - {}\n"
    modules = {"one": "def f(x):\n    return 1\n", "two": "def f(x):\n    return 2\n"}
    first = project(main=main.format("one.f", "two.f"), **modules)
    assert project(main=main.format("two.f", "one.f"), **modules) != first
    renamed = main.replace("one, two", "two as a, one as b").format("b.f", "a.f")
    assert project(main=renamed, **modules) == first


def test_a_modules_c_source_counts_but_for_comments_and_layout(project: Project) -> None:
    modules = {"masks.c": "int x = 1;", "other.c": "int y = 1;"}
    found = project(**modules)
    assert found != project()
    assert project(**modules | {"masks.c": "int x /* one */ = 1;  // here"}) == found
    assert project(**modules | {"masks.c": "int x = 2;"}) != found
    assert project(**modules | {"other.c": "int y = 2;"}) == found


def test_another_c_source_counts_where_it_is_named_and_included(project: Project) -> None:
    masks = MASKS + "from pathlib import Path\nSOURCE = Path(__file__).with_name('other.c')\n"
    main = MAIN.replace("masks.cut(SMALL)", "masks.SOURCE")
    modules = {"masks": masks, "other.c": '#include "size.h"\n', "size.h": "int z = 1;"}
    changed = modules | {"size.h": "int z = 2;"}
    assert project(**modules, main=main) != project(**changed, main=main)
    assert project(**modules) == project(**changed)  # cut does not name it


# --- what does not count ------------------------------------------------------------------------


def test_a_module_may_move_to_a_room_of_its_own(project: Project) -> None:
    moved = in_room(masks=MASKS.replace("LIMIT = 3", "from ..sizes import SIZE\nLIMIT = 3"))
    main = MAIN.replace("from lens import masks", "from lens.room import masks")
    assert project(**moved, masks="", main=main) == project()
    main = MAIN.replace("from lens import masks", "import lens.room.masks as m")
    assert project(**moved, masks="", main=main.replace("masks.cut", "m.cut")) == project()


def test_a_definition_may_move_to_another_module(project: Project) -> None:
    moved = {"masks": MASKS.replace("LIMIT = 3", "from lens.sizes import LIMIT")}
    moved["sizes"] = "LIMIT = 3\nSIZE = 7\n"
    assert project(**moved) == project()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def cut(size):", "def cut(size):\n    '''Cut.'''"),
        ("def cut(size):", "def cut(size: int = 0) -> np.ndarray:".replace(" = 0", "")),
        ("    return np.min", "    # a comment\n    return np.min"),
        ("import numpy as np", "import numpy"),
        ("LIMIT = 3", "LIMIT = 3\n'''How many.'''"),
        ("LIMIT = 3", "if TYPE_CHECKING:\n    import pandas\nLIMIT = 3"),
    ],
)
def test_words_annotations_and_aliases_do_not_count(project: Project, old: str, new: str) -> None:
    text = MASKS.replace(old, new)
    if new == "import numpy":
        text = text.replace("np.minimum", "numpy.minimum")
    assert text != MASKS
    assert project(masks=text) == project()


def test_annotations_of_locals_do_not_count(project: Project) -> None:
    plain = MASKS.replace("return np", "top = LIMIT\n    return top + np")
    assert project(masks=plain.replace("top =", "top: int =")) == project(masks=plain)


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("'cut %d'", "'%d cut'", False),
        ("'cut %d'", "f'cut {size} %d'", True),
        ("LIMIT)", "SIZE)", True),
        ("log.info", "log.warning", True),
    ],
)
def test_texts_of_log_calls_do_not_count_but_their_values_do(
    project: Project, old: str, new: str, counts: bool
) -> None:
    masks = (
        "import logging\nlog = logging.getLogger(__name__)\nLIMIT = 3\nSIZE = 4\n"
        "def cut(size):\n    log.info('cut %d', LIMIT)\n    log.info(f'so {size}')\n"
    )
    found = project(masks=masks)
    assert (project(masks=masks.replace(old, new)) != found) == counts
    assert project(masks=masks.replace("so {", "thus {")) == found
    assert project(masks=masks.replace("{size}", "{size + 1}")) != found


def test_a_cast_counts_as_the_value_that_it_returns(project: Project) -> None:
    masks = "from typing import cast\n\nSIZE = 4\n\ndef cut(size):\n    return SIZE * size\n"
    typed = masks.replace("return SIZE * size", "return cast('int', SIZE * size)")
    assert project(masks=typed) == project(masks=masks)
    assert project(masks=typed.replace("'int'", "list[int]")) == project(masks=masks)
    assert project(masks=typed.replace("SIZE * size", "size")) != project(masks=masks)


def test_the_name_cast_is_that_of_typing() -> None:
    for module in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and "cast" in [each.name for each in node.names]:
                assert node.module == "typing", module
            assert isinstance(node, ast.alias) or getattr(node, "name", "") != "cast", module


def test_a_script_runs_its_main_block_and_a_module_does_not(project: Project) -> None:
    block = '\nif __name__ == "__main__":\n    print({})\n'
    assert project(RUN + block.format(1)) != project(RUN + block.format(2))
    assert project(masks=MASKS + block.format(1)) == project()


# --- registries ---------------------------------------------------------------------------------

FAMILIES = """
from lens.shapes import chain, ring

def residual(family):
    return lambda: family() + 1

FAMILIES: dict[str, object] = {
    "chain": chain,
    "ring": residual(ring),
}

def build(name):
    return FAMILIES[name]()

def default():
    return build("ring")
"""
SHAPES = "def chain():\n    return 1\n\ndef ring():\n    return 2\n"
BUILD = "import sys\nfrom lens.families import build\n\nbuild(sys.argv[1])\n"
STAR = {
    "families": FAMILIES.replace('    "chain"', '    "star": star,\n    "chain"').replace(
        "chain, ring", "chain, ring, star"
    ),
    "shapes": SHAPES + "def star():\n    return 3\n",
}


def test_a_registry_counts_as_a_whole_in_its_order_unless_entries_are_named(
    project: Project,
) -> None:
    modules = {"families": FAMILIES, "shapes": SHAPES}
    found = project(BUILD, **modules)
    assert project(BUILD, **STAR) != found
    swapped = FAMILIES.replace('    "chain": chain,\n', "").replace("}", '    "chain": chain,\n}')
    assert project(BUILD, **modules | {"families": swapped}) != found


def test_of_named_entries_only_these_count(project: Project) -> None:
    modules = {"families": FAMILIES, "shapes": SHAPES}
    for name in ("chain", "ring"):
        entries = {"FAMILIES": [name]}
        found = project(BUILD, entries, **modules)
        assert project(BUILD, entries, **STAR) == found
        for value, own in ((1, "chain"), (2, "ring")):
            changed = modules | {"shapes": SHAPES.replace(f"return {value}", "return 9")}
            assert (project(BUILD, entries, **changed) != found) == (own == name)


def test_an_entry_may_be_added_below_its_registry(project: Project) -> None:
    added = 'def star():\n    return 3\n\nFAMILIES["star"] = star\n'
    modules = {"families": FAMILIES, "shapes": SHAPES}
    longer = modules | {"families": f"{FAMILIES}\n{added}"}
    assert project(BUILD, **longer) != project(BUILD, **modules)
    of_chain, of_star = {"FAMILIES": ["chain"]}, {"FAMILIES": ["star"]}
    assert project(BUILD, of_chain, **longer) == project(BUILD, of_chain, **modules)
    changed = longer | {"families": longer["families"].replace("return 3", "return 4")}
    assert project(BUILD, of_star, **changed) != project(BUILD, of_star, **longer)
    assert project(BUILD, of_chain, **changed) == project(BUILD, of_chain, **modules)
    replaced = modules | {"families": FAMILIES + '\nFAMILIES["chain"] = ring\n'}
    assert project(BUILD, of_chain, **replaced) != project(BUILD, of_chain, **modules)


def test_a_registry_without_the_named_entries_counts_as_a_whole(project: Project) -> None:
    modules = {"families": FAMILIES, "shapes": SHAPES}
    entries = {"FAMILIES": ["gaussian"]}
    assert project(BUILD, entries, **modules) != project(BUILD, entries, **STAR)


def test_an_entry_that_code_in_reach_names_counts_too(project: Project) -> None:
    modules = {"families": FAMILIES, "shapes": SHAPES}
    script = BUILD.replace("build(sys", "default() + build(sys").replace(
        "build\n", "build, default\n"
    )
    changed = modules | {"shapes": SHAPES.replace("return 2", "return 9")}
    entries = {"FAMILIES": ["chain"]}
    assert project(script, entries, **modules) != project(script, entries, **changed)


def test_an_entry_may_name_its_function_by_text(project: Project) -> None:
    catalogue = (
        'FIGURES = {\n    "chi": ("lens.figures:chi", 1),\n    "q": ("lens.figures:q", 2),\n}\n'
    )
    figures = 'def chi(t):\n    return t["q"]\n\ndef q():\n    return 2\n'
    script = (
        "import importlib\nfrom lens.catalogue import FIGURES\nmodule, name = FIGURES['chi'][0]\n"
        "getattr(importlib.import_module(module), name)()\n"
    )
    modules = {"catalogue": catalogue, "figures": figures}
    of_chi = {"entries": {"FIGURES": ["chi"]}, "name": "plot"}
    found = project(script, **of_chi, **modules)
    for old, new, counts in (('t["q"]', "9", True), ("return 2", "return 9", False)):
        changed = modules | {"figures": figures.replace(old, new)}
        assert (project(script, **of_chi, **changed) != found) == counts
    moved = in_room(figures=figures) | {
        "catalogue": catalogue.replace("lens.figures", "lens.room.figures")
    }
    assert project(script, **of_chi, **moved) == found
    with pytest.raises(DefinitionError, match="import_module"):
        project(script, **modules)  # in no generic script


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("from lens.sizes import *", "star import"),
        ("import importlib\nx = importlib.import_module('lens.sizes')", "import_module"),
        ("from importlib import import_module as get\nx = get('lens.sizes')", "import_module"),
        ("x = __import__('lens.sizes')", "__import__"),
        ("x = eval('masks.cut')", "eval"),
        ("x = globals()['run']", "globals"),
        ("x = getattr(masks, 'cut')", "by text"),
        ("x = vars(masks)['cut']", "by text"),
        ("x = masks.cut.__doc__", "__doc__"),
        ("def f():\n    from lens.sizes import *", "star import"),
    ],
)
def test_what_no_digest_can_follow_is_refused_and_named(
    project: Project, code: str, reason: str
) -> None:
    with pytest.raises(DefinitionError, match=rf"main\.py.*{reason}"):
        project(main=f"{MAIN}\n{code}\n".replace("def run():", "def run():\n    x\n"))


def test_attributes_of_objects_by_text_and_versions_of_libraries_are_fine(project: Project) -> None:
    main = MAIN.replace("return masks", "getattr(SMALL, 'real')\n    return masks")
    main += "\nimport importlib.metadata\nv = importlib.metadata.version('numpy')\n"
    assert project(main=main) != project()
