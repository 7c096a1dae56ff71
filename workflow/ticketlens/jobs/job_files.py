"""Snakemake's files and lists of files, made and asked in fewer steps: the same texts and flags.

A dry run of the full study makes a hundred thousand of them. Of each, Snakemake (9.27) asks over
and over whether it is a function, has flags, lies in a storage, has variables in its path, is
there, has a strange name, and where in its pattern the wildcards stand. What is a plain text has a
shorter way here; everything else goes Snakemake's.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import cache, wraps
from typing import Any

PLAIN = re.compile(r"[\w+=-][\w.+=-]*(?:/[\w.+=-]+)*\Z")
"""Relative paths in which there is nothing to warn of."""


def make_files_quickly() -> None:
    """Have Snakemake take the shorter ways of files; `job_graph.plan_quickly` says when."""
    from snakemake import dag, io, iocontainers, jobs, path_modifier, rules

    modules = (io, jobs, dag, rules, path_modifier)
    files, annotated = io._IOFile, io.AnnotatedString
    apply_wildcards = in_parts(io.WILDCARD_REGEX, io.WildcardError)
    for name, shorter in {
        "is_flagged": flagged(io.is_flagged, annotated, files),
        "get_flag_value": flag_values(io.get_flag_value, annotated, files),
        "is_callable": of_kind(io.is_callable, annotated, files),
        "apply_wildcards": apply_wildcards,
    }.items():
        usual = getattr(io, name)
        for module in modules:
            if getattr(module, name, None) is usual:
                setattr(module, name, shorter)
    lists = iocontainers.Namedlist
    lists._set_name = named(lists._set_name)
    lists.__init__ = guarded(lists.__init__, iocontainers.AttributeGuard)
    files.is_storage = property(stored(files.is_storage.fget, annotated))
    files.exists = known(files.exists)
    files.check = if_strange(files.check)
    files.apply_wildcards = filled(files.apply_wildcards, apply_wildcards, annotated, files)
    files.__new__ = staticmethod(of_text(files.__new__, annotated, files))
    # The text of a file is that of its path, flagged or not.
    files.__hash__, files.__eq__ = str.__hash__, str.__eq__


def flagged(
    usual: Callable[[Any, str], bool], annotated: type[Any], file: type[Any]
) -> Callable[[Any, str], bool]:
    """Return `io.is_flagged`, which need not ask what a text is that nobody can have flagged."""

    @wraps(usual)
    def is_flagged(value: Any, flag: str) -> bool:
        text = value._file if type(value) is file else value
        kind = type(text)
        if kind is str:
            return False
        if kind is annotated:
            return bool(text._flags.get(flag))
        return usual(value, flag)

    return is_flagged


def stored(usual: Callable[[Any], bool], annotated: type[Any]) -> Callable[[Any], bool]:
    """Return `_IOFile.is_storage`: no if nothing is flagged."""

    def is_storage(self: Any) -> bool:
        text = self._file
        if type(text) is str or (type(text) is annotated and not text._flags):
            return False
        return usual(self)

    return is_storage


def known(usual: Callable[[Any], Awaitable[bool]]) -> Callable[[Any], Awaitable[bool]]:
    """Return `_IOFile.exists`, which looks first at what Snakemake has noted."""

    @wraps(usual)
    async def exists(self: Any) -> bool:
        if not self.is_storage and self.rule.workflow.iocache.active:
            noted = self.rule.workflow.iocache.exists_local
            there = noted.get(self)
            if there is not None:
                return bool(there)
            folder, slash, _ = self.rpartition("/")
            if slash and folder in noted.has_inventory:
                return False
        return await usual(self)

    return exists


def if_strange(usual: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return `_IOFile.check`, which warns of strange paths, and finds nothing in plain ones."""

    @wraps(usual)
    def check(self: Any) -> None:
        if not PLAIN.match(self):
            usual(self)

    return check


def in_parts(wildcard: re.Pattern[str], error: type[Exception]) -> Callable[[str, Any], str]:
    """Return `io.apply_wildcards`, which takes a pattern apart once: `wildcard` matches in it."""

    @cache
    def parts(pattern: str) -> tuple[list[str], list[tuple[int, str]]]:
        texts, names, end = [], [], 0
        for match in wildcard.finditer(pattern):
            texts += [pattern[end : match.start()], ""]
            names.append((len(texts) - 1, match["name"]))
            end = match.end()
        return [*texts, pattern[end:]], names

    def apply_wildcards(pattern: str, wildcards: Any) -> str:
        if "{" not in pattern:
            return pattern
        texts, names = parts(str(pattern))
        texts = texts.copy()
        try:
            for place, name in names:
                texts[place] = str(wildcards[name])
        except KeyError as missing:
            raise error(str(missing)) from None
        return "".join(texts)

    return apply_wildcards


def guarded(usual: Callable[..., None], guard: Callable[[str], Any]) -> Callable[..., None]:
    """Return `Namedlist.__init__`: lists of names and values share the guards of two names."""
    guards = {name: guard(name) for name in ("index", "sort")}

    @wraps(usual)
    def __init__(self: Any, toclone: Any = None, fromdict: Any = None, **more: Any) -> None:
        if toclone is not None or more:
            usual(self, toclone, fromdict, **more)
            return
        names = fromdict or {}
        list.__init__(self, names.values())
        self._names = {}
        self._allowed_overrides = ["index", "sort"]
        self.__dict__.update(guards)
        for index, name in enumerate(names):
            self._set_name(name, index)

    return __init__


def flag_values(
    usual: Callable[[Any, str], Any], annotated: type[Any], file: type[Any]
) -> Callable[[Any, str], Any]:
    """Return `io.get_flag_value`, which knows that of plain texts without asking what they are."""

    @wraps(usual)
    def get_flag_value(value: Any, flag_type: str) -> Any:
        text = value._file if type(value) is file else value
        kind = type(text)
        if kind is str:
            return None
        if kind is annotated:
            return text._flags.get(flag_type)
        return usual(value, flag_type)

    return get_flag_value


def of_kind(
    usual: Callable[[Any], bool], annotated: type[Any], file: type[Any]
) -> Callable[[Any], bool]:
    """Return `io.is_callable`, which asks a text of a known kind for what was noted in it."""

    @wraps(usual)
    def is_callable(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return False
        if kind is file:
            return bool(value._is_callable)
        if kind is annotated:
            return value.callable is not None
        return usual(value)

    return is_callable


def of_text(usual: Callable[..., Any], annotated: type[Any], file: type[Any]) -> Callable[..., Any]:
    """Return `_IOFile.__new__`: a file of a text in which there is nothing to replace or remove."""

    @wraps(usual)
    def __new__(cls: Any, text: Any, rule: Any = None) -> Any:
        kind = type(text)
        if kind is annotated:
            is_plain = text.callable is None and "storage_object" not in text._flags
        else:
            is_plain = kind is str or (kind is file and not (text._is_callable or text.is_storage))
        if not is_plain or "<" in text or text.endswith("/"):
            return usual(cls, text, rule=rule)
        return _made(
            cls, text, _noted(annotated, text, text._flags) if kind is annotated else text, rule
        )

    return __new__


def filled(
    usual: Callable[[Any, Any], Any],
    apply_wildcards: Callable[[str, Any], str],
    annotated: type[Any],
    file: type[Any],
) -> Callable[[Any, Any], Any]:
    """Return `_IOFile.apply_wildcards`, which makes one file of a plain pattern, not three."""

    @wraps(usual)
    def apply(self: Any, wildcards: Any) -> Any:
        pattern = self._file
        kind = type(pattern)
        if kind is str:
            flags: dict[str, Any] = {}
        elif kind is annotated and pattern.callable is None:
            flags = pattern._flags
        else:
            return usual(self, wildcards)
        text = str(apply_wildcards(pattern, wildcards))
        if "storage_object" in flags or "<" in text or text.endswith("/"):
            return usual(self, wildcards)
        return _made(file, text, _noted(annotated, text, flags.copy()), self.rule)

    return apply


def _made(kind: type[Any], text: str, noted: Any, rule: Any) -> Any:
    """Return a file as `_IOFile.__new__` makes it; `noted` is its text with its flags."""
    made = str.__new__(kind, text)
    made._is_callable, made._file, made.rule = False, noted, rule
    made._regex = made._wildcard_constraints = None
    return made


def _noted(annotated: type[Any], text: str, flags: dict[str, Any]) -> Any:
    """Return a text with these flags as `AnnotatedString` makes it."""
    noted = str.__new__(annotated, text)
    noted._flags, noted.callable = flags, None
    return noted


def named(usual: Callable[..., None]) -> Callable[..., None]:
    """Return `Namedlist._set_name`, which looks up once whether a class has an attribute."""

    has: Callable[[Any, str], bool] = cache(hasattr)

    @wraps(usual)
    def _set_name(self: Any, name: Any, index: int, end: int | None = None) -> None:
        if end is None and not has(type(self), name):
            self._names[name] = (index, None)
            setattr(self, name, list.__getitem__(self, index))
        else:
            usual(self, name, index, end)

    return _set_name
