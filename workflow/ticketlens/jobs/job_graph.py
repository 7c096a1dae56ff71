"""Snakemake's graph of thousands of jobs, planned in half the time: the same jobs, files, reasons.

What Snakemake (9.27) works out again for every job and file, although it knows it:

- the job that makes a file, for each of the jobs that read it;
- the parameters of all jobs, to find conda environments that do not depend on them;
- whether a file lies in a folder that is the output of another job, by paths compared two by two;
- benchmark and log files, once to note them and once to check that they can be named;
- which rules can make a file: every rule whose files begin with `results/` is asked;
- for each mention of a file, whether it has flags, lies in a storage, is there, has a strange name,
  and where in its pattern the wildcards stand.

Each of these has a shorter way here, put in the place of Snakemake's own. The bodies of its
functions differ from release to release, so that only releases are touched that this was compared
with. Any other one keeps its own ways: its dry runs take longer, and nothing else changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, wraps
from typing import Any

COMPARED = ("9.27.",)
"""Releases of Snakemake, by how their versions begin."""
PLAIN = re.compile(r"[\w+=-][\w.+=-]*(?:/[\w.+=-]+)*\Z")
"""Relative paths in which there is nothing to warn of."""


def plan_quickly() -> None:
    """Have Snakemake take the shorter ways, if this is a release that they were compared with."""
    from snakemake import __version__, dag, io, iocontainers, jobs, rules

    if not __version__.startswith(COMPARED):
        return
    dag.DAG.update = noting_producers(dag.DAG.update)
    dag.DAG.check_directory_outputs = if_nested(dag.DAG.check_directory_outputs)
    dag.OutputIndex = by_suffix(dag.OutputIndex)
    jobs.Job.conda_env_spec = property(of_rule(jobs.Job.conda_env_spec.fget))
    jobs.Job.is_valid = named_once
    is_flagged = flagged(io.is_flagged, io.AnnotatedString, io._IOFile)
    for module in (io, jobs, dag, rules):
        module.is_flagged = is_flagged
    apply_wildcards = in_parts(io.WILDCARD_REGEX, io.WildcardError)
    for module in (io, rules):
        module.apply_wildcards = apply_wildcards
    lists = iocontainers.Namedlist
    lists.__init__ = guarded(lists.__init__, iocontainers.AttributeGuard)
    files = io._IOFile
    files.is_storage = property(stored(files.is_storage.fget, io.AnnotatedString))
    files.exists = known(files.exists)
    files.check = if_strange(files.check)
    # The text of a file is that of its path, flagged or not.
    files.__hash__, files.__eq__ = str.__hash__, str.__eq__


def noting_producers(update: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `DAG.update`, noting the job that it finds for a file where Snakemake looks for it.

    Snakemake hands this dict of known producers on through the graph, reads it, and (in 9.27)
    writes into it only which files have none.
    """

    @wraps(update)
    async def noted(
        self: Any,
        jobs: Any,
        file: Any = None,
        visited: Any = None,
        known_producers: dict[Any, Any] | None = None,
        progress: bool = False,
        create_inventory: bool = False,
    ) -> Any:
        job = await update(self, jobs, file, visited, known_producers, progress, create_inventory)
        if file is not None and known_producers is not None:
            known_producers[file] = [job]
        return job

    return noted


def if_nested(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return `DAG.check_directory_outputs`, which is asked if an output lies within another."""

    @wraps(check)
    def checked(self: Any) -> None:
        if _is_nested(os.path.abspath(file) for job in self.jobs for file in job.output):
            check(self)

    return checked


def _is_nested(paths: Iterable[str]) -> bool:
    """Whether one of these absolute paths is a folder that another one lies in."""
    files = set(paths)
    folders, new = set(), {os.path.dirname(file) for file in files}
    while new:
        folders |= new
        new = {os.path.dirname(folder) for folder in new} - folders
    return not files.isdisjoint(folders)


def by_suffix(usual: type[Any]) -> type[Any]:
    """Return `OutputIndex`, which looks up how a file begins, and compares its end with all rules'.

    Rules of one file each, such as figures, are looked up by its path.
    """

    class OutputIndex(usual):  # type: ignore[misc]
        def __init__(self, rules: list[Any]) -> None:
            self._of_file: dict[str, set[Any]] = {}
            self._of_prefix: dict[str, dict[str, set[Any]]] = {}
            for rule in rules:
                for product in rule.products():
                    if product.contains_wildcard():
                        prefix, suffix = product.constant_prefix(), product.constant_suffix()
                        of_suffix = self._of_prefix.setdefault(str(prefix), {})
                        of_suffix.setdefault(str(suffix), set()).add(rule)
                    else:
                        self._of_file.setdefault(str(product), set()).add(rule)
            self._suffixes = {prefix: tuple(rules) for prefix, rules in self._of_prefix.items()}
            self._lengths = sorted({len(prefix) for prefix in self._of_prefix})

        def match(self, targetfile: str) -> set[Any]:
            text = str(targetfile)
            rules_of_file = set(self._of_file.get(text, ()))
            for length in self._lengths:
                prefix = text[:length]
                suffixes = self._suffixes.get(prefix)
                if suffixes and text.endswith(suffixes):
                    rules = self._of_prefix[prefix]
                    rules_of_file.update(*(rules[end] for end in suffixes if text.endswith(end)))
            return rules_of_file

    return OutputIndex


def of_rule(usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `Job.conda_env_spec`, which in dry runs takes an environment that a rule names.

    In other runs the parameters of all jobs are worked out first, as ever: the digests of code are
    then those of the code at the start.
    """

    def conda_env_spec(self: Any) -> Any:
        is_static = not callable(self.rule._conda_env)
        if self._conda_env_spec is None and is_static and self.dag.workflow.dryrun:
            self._conda_env_spec = self.rule.expand_conda_env(self.wildcards_dict)
        return usual(self) if self._conda_env_spec is None else self._conda_env_spec

    return conda_env_spec


def named_once(job: Any) -> None:
    """Check that the benchmark and the log files of a job can be named: `Job.is_valid`."""
    _ = job.benchmark, job.log


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
            if os.path.dirname(self) in noted.has_inventory:
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
        list.__init__(self)
        self._names = {}
        self._allowed_overrides = ["index", "sort"]
        self.__dict__.update(guards)
        for name, value in (fromdict or {}).items():
            self.append(value)
            self._add_name(name)

    return __init__
