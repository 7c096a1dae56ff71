"""Files and lists of files that are made in fewer steps are those that Snakemake makes."""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake.api  # noqa: F401  first: the modules below import each other
from snakemake import io, iocontainers
from snakemake.pathvars import Pathvars

from ticketlens.jobs import job_files

PLACES = Pathvars.from_workflow({"results": "results/quick"})
RULE: Any = SimpleNamespace(pathvars=PLACES, name="plot")


def test_flags_are_seen_on_texts_files_and_functions() -> None:
    is_flagged = job_files.flagged(io.is_flagged, io.AnnotatedString, io._IOFile)
    temp, function = io.temp("a.csv"), io.unpack(lambda wildcards: [])
    values = ["a.csv", temp, function, io.IOFile("a.csv"), io.IOFile(temp), io.IOFile(function)]
    values += [io.flag("a.csv", "temp", False), lambda wildcards: "", None, 1]
    values += [io.IOFile(io.IOFile(temp)), io.IOFile(io.IOFile("a.csv"))]
    kinds = (io.AnnotatedString, io._IOFile)
    get_flag_value = job_files.flag_values(io.get_flag_value, *kinds)
    is_callable = job_files.of_kind(io.is_callable, *kinds)
    for value, flag in product(values, ("temp", "unpack", "directory")):
        assert is_flagged(value, flag) == io.is_flagged(value, flag), (value, flag)
        assert get_flag_value(value, flag) == io.get_flag_value(value, flag), (value, flag)
        assert is_callable(value) == io.is_callable(value), value


def test_files_are_what_their_paths_are() -> None:
    is_storage = job_files.stored(lambda file: True, io.AnnotatedString)
    asked: list[Any] = []
    check = job_files.if_strange(asked.append)
    plain = ["a.csv", io.temp("results/a-b/seed0/c_1.csv"), "resources/x+y=1.h5"]
    strange = ["./a", "a//b", " a", "a ", "a\nb", "{a.b}", "/a/b", ""]
    for text in [*plain, *strange]:
        file = io.IOFile(text)
        assert hash(file) == hash(str(text)) == file._file.__hash__() and file == text
        assert is_storage(file) == bool(file.flags)
        check(file)
    assert asked == [io.IOFile(text) for text in strange]


def test_wildcards_are_applied_as_ever() -> None:
    apply_wildcards = job_files.in_parts(io.WILDCARD_REGEX, io.WildcardError)
    wildcards = {"study": "a-b", "seed": 1}
    patterns = (
        "a.csv",
        r"{study,a-b|c}/seed{seed,0|[1-9]\d{0,3}}.h5",
        "{study}{study}",
        "{}",
        "{ seed }",
    )
    for pattern in (*patterns, io.temp("{seed}.h5")):
        assert apply_wildcards(pattern, wildcards) == io.apply_wildcards(pattern, wildcards)
    with pytest.raises(io.WildcardError, match="arm"):
        apply_wildcards("{study}/{arm}.h5", wildcards)


def test_lists_of_names_are_made_as_ever() -> None:
    class Quick(iocontainers.Namedlist):  # type: ignore[type-arg]
        __init__ = job_files.guarded(iocontainers.Namedlist.__init__, iocontainers.AttributeGuard)

    Quick._set_name = job_files.named(Quick._set_name)
    values = {"arm": "imp", "index": 7}
    quick, usual = Quick(fromdict=values), iocontainers.Namedlist(fromdict=values)
    assert list(quick) == list(usual) and quick.arm == "imp" and quick.index == usual.index == 7
    assert quick.__dict__.keys() == usual.__dict__.keys() and quick._names == usual._names
    assert dict(Quick(toclone=quick).items()) == values
    for made in (quick, Quick(), Quick(["a"]), usual):
        with pytest.raises(AttributeError, match=r"sort.. cannot be used"):
            made.sort()
    quick._set_name("both", 0, end=2)
    assert list(quick.both) == ["imp", 7] and quick._names["both"] == (0, 2)
    with pytest.raises(AttributeError, match="reserved"):
        Quick(fromdict={"keys": 1})


def test_a_file_is_there_as_its_folder_was_noted() -> None:
    async def asks(file: Any) -> str:
        return "asked"

    exists = job_files.known(asks)  # type: ignore[arg-type]
    noted = io.ExistsDict(None)
    noted["seen/a.csv"] = True
    noted.has_inventory.add("seen")
    cache = SimpleNamespace(active=True, exists_local=noted)
    rule = SimpleNamespace(workflow=SimpleNamespace(iocache=cache))

    def said(path: str) -> Any:
        file = io.IOFile(path)
        file.rule = rule
        return asyncio.run(exists(file))  # type: ignore[arg-type]

    assert [said(path) for path in ("seen/a.csv", "seen/b.csv", "new/a.csv", "a.csv")] == [
        True,
        False,
        "asked",
        "asked",
    ]
    cache.active = False
    assert said("seen/a.csv") == "asked"


def of_a_file(file: Any) -> tuple[Any, ...]:
    """All that Snakemake notes in a file."""
    noted = file._file
    flags = dict(getattr(noted, "flags", {}))
    parts = (str(file), file._is_callable, file.rule, file._regex, file._wildcard_constraints)
    return (*parts, type(file), type(noted), str(noted), flags, getattr(noted, "callable", None))


TEXTS = (
    *("a.csv", "<results>/{study}.png", "{study}/", "a<b.csv", "results/{study}/a.csv"),
    *(io.temp("{study}.csv"), io.directory("{study}/"), io.ancient("<results>/a.csv")),
    io.flag("a.csv", "temp", False),
)


@pytest.mark.parametrize("rule", [None, RULE])
def test_a_file_is_made_of_a_text_or_a_file_as_ever(rule: Any) -> None:
    made = job_files.of_text(io._IOFile.__new__, io.AnnotatedString, io._IOFile)
    others: tuple[Any, ...] = (io.unpack(lambda wildcards: []), lambda wildcards: "", Path("a/b"))
    for text in (*TEXTS, *others, *(io.IOFile(text, rule=rule) for text in TEXTS)):
        usual, quick = io.IOFile(text, rule=rule), made(io._IOFile, text, rule=rule)
        assert of_a_file(quick) == of_a_file(usual)


def test_wildcards_are_filled_in_a_file_that_has_flags_of_its_own() -> None:
    usual = io._IOFile.apply_wildcards
    apply = job_files.filled(usual, io.apply_wildcards, io.AnnotatedString, io._IOFile)
    for text in TEXTS:
        for pattern in (io.IOFile(text, rule=RULE), io.IOFile(io.IOFile(text), rule=RULE)):
            filled = apply(pattern, {"study": "chi"})
            assert of_a_file(filled) == of_a_file(usual(pattern, {"study": "chi"}))
            filled.flags["temp"] = "mine"
            assert pattern.flags.get("temp") != "mine"
    with pytest.raises(io.WildcardError, match="arm"):
        apply(io.IOFile("{arm}.csv", rule=RULE), {"study": "chi"})
    assert apply(io.IOFile("{study}", rule=RULE), {"study": "a/"}) == "a"
