"""Snakemake's graph of thousands of jobs, planned in half the time: the same jobs, files, reasons.

What Snakemake (9.27) works out again for every job and file, although it knows it:

- the job that makes a file, for each of the jobs that read it;
- the parameters of all jobs, to find conda environments that do not depend on them;
- whether a file lies in a folder that is the output of another job, by paths compared two by two;
- benchmark and log files, once to note them and once to check that they can be named;
- which rules can make a file: every rule whose files begin with `results/` is asked;
- the time of every input of every job, and, for each output, a task of its own to ask for its time,
  and another one to ask whether it is protected;
- under which name a file would be marked as incomplete, where no file is marked;
- how a module or a storage would rename a file, where there is neither;
- all that `job_files` lists, for each mention of a file.

Each of these has a shorter way here, put in the place of Snakemake's own. The bodies of its
functions differ from release to release, so that only releases are touched that this was compared
with. Any other one keeps its own ways: its dry runs take longer, and nothing else changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import cache, wraps
from typing import Any

from ticketlens.jobs import job_files

COMPARED = ("9.27.",)
"""Releases of Snakemake, by how their versions begin."""


def plan_quickly() -> None:
    """Have Snakemake take the shorter ways, if this is a release that they were compared with."""
    from snakemake import __version__, dag, io, jobs, path_modifier, rules
    from snakemake.persistence.file import FilePersistence

    if not __version__.startswith(COMPARED):
        return
    job_files.make_files_quickly()
    dag.DAG.update = noting_producers(dag.DAG.update)
    dag.DAG.check_directory_outputs = if_nested(dag.DAG.check_directory_outputs)
    dag.OutputIndex = by_suffix(dag.OutputIndex)
    job = jobs.Job
    job.conda_env_spec = property(of_rule(job.conda_env_spec.fget))
    job.is_valid = named_once
    job.output_mintime = property(oldest_output)
    job.missing_output = missing(io.is_flagged)
    job.check_protected_output = unprotected(jobs.ProtectedOutputException)
    io.IOCache.mtime_inventory = note_times
    rules.Rule.apply_path_modifier = if_modified(
        rules.Rule.apply_path_modifier, path_modifier.PathModifier
    )
    FilePersistence._filter_incomplete_keys = if_any(FilePersistence._filter_incomplete_keys)


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
        files = [str(file) for job in self.jobs for file in job.output]
        is_plain = all(map(job_files.PLAIN.match, files))
        if _is_nested(files if is_plain else map(os.path.abspath, files)):
            check(self)

    return checked


def _is_nested(paths: Iterable[str]) -> bool:
    """Whether one of these paths, all absolute or all plain, is a folder that another lies in."""
    files = set(paths)
    folders, new = set(), {os.path.dirname(file) for file in files}
    while new:
        folders |= new
        new = {os.path.dirname(folder) for folder in new} - folders
    return not files.isdisjoint(folders)


def by_suffix(usual: type[Any]) -> type[Any]:
    """Return `OutputIndex`, which looks up how a file begins, and compares its end with all rules'.

    Only patterns that begin and end so are matched. Those of one file each, such as figures, are
    looked up by its path.
    """

    class OutputIndex(usual):  # type: ignore[misc]
        def __init__(self, rules: list[Any]) -> None:
            self._of_file: dict[str, set[Any]] = {}
            self._of_prefix: dict[str, dict[str, list[tuple[Any, Any]]]] = {}
            for rule in rules:
                for product in rule.products():
                    if product.contains_wildcard():
                        prefix, suffix = product.constant_prefix(), product.constant_suffix()
                        of_suffix = self._of_prefix.setdefault(str(prefix), {})
                        of_suffix.setdefault(str(suffix), []).append((rule, product))
                    else:
                        self._of_file.setdefault(str(product), set()).add(rule)
            self._length = max(map(len, self._of_prefix), default=0)
            self._beginning = cache(self._begins)

        def _begins(self, text: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
            """Return the ends of the patterns that begin as the text does, and the patterns."""
            prefixes = self._of_prefix.items()
            return [(tuple(ends), ends) for prefix, ends in prefixes if text.startswith(prefix)]

        def _candidates(self, text: str) -> Iterator[tuple[Any, Any]]:
            """Yield rules and their patterns that begin and end as the text does."""
            for suffixes, of_suffix in self._beginning(text[: self._length]):
                if text.endswith(suffixes):
                    for end in suffixes:
                        if text.endswith(end):
                            yield from of_suffix[end]

        def match(self, targetfile: str) -> set[Any]:
            text = str(targetfile)
            return {*self._of_file.get(text, ()), *(rule for rule, _ in self._candidates(text))}

        def match_producers(self, targetfile: str) -> set[Any]:
            text = str(targetfile)
            producers = set(self._of_file.get(text, ()))
            try:
                producers.update(
                    rule for rule, product in self._candidates(text) if product.match(text)
                )
            except (re.error, ValueError):  # a pattern is none: the usual way says which
                return set(super().match_producers(targetfile))
            return producers

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


async def oldest_output(job: Any) -> float | None:
    """Return when the oldest file was made that the job makes, None if there is none of them."""
    benchmark = [job.benchmark] if job.benchmark else []
    times = [
        (await file.mtime()).local_or_storage()
        for file in (*job.output, *benchmark)
        if await file.exists()
    ]
    return min((time for time in times if time is not None), default=None)


def missing(is_flagged: Callable[[Any, str], bool]) -> Callable[..., AsyncIterator[Any]]:
    """Return `Job.missing_output`, without a generator of its own for each file."""

    async def missing_output(job: Any, requested: Iterable[Any]) -> AsyncIterator[Any]:
        for file in requested:
            output = job.output_by_path.get(str(file), file)
            is_stream = is_flagged(output, "pipe") or is_flagged(output, "service")
            if is_stream or not await output.exists():
                yield output

    return missing_output


def unprotected(error: type[Exception]) -> Callable[[Any], Awaitable[None]]:
    """Return `Job.check_protected_output`, which asks only of files that are there."""

    async def check_protected_output(job: Any) -> None:
        protected = [
            file
            for file in job.output
            if (file.is_storage or await file.exists()) and await file.protected()
        ]
        if protected:
            raise error(job, protected)

    return check_protected_output


async def note_times(cache: Any, jobs: Iterable[Any], n_workers: int = 8) -> None:
    """Note when the files of the jobs that are there were made, and ask each of them once."""
    seen: set[Any] = set()
    for job in jobs:
        for file in (*job.input, *job.output, *([job.benchmark] if job.benchmark else [])):
            if file in seen or file.is_storage:
                continue
            seen.add(file)
            if file not in cache.mtime and await file.exists():
                cache.mtime[file] = await cache.collect_mtime(file)


def if_modified(usual: Callable[..., Any], modifier: type[Any]) -> Callable[..., Any]:
    """Return `Rule.apply_path_modifier`, asked only where a module or storage renames."""

    def is_idle(path_modifier: Any) -> bool:
        inner = path_modifier.inner_modifier
        return (
            type(path_modifier) is modifier
            and path_modifier.prefix is None
            and path_modifier._prefix_replacements is None
            and path_modifier.workflow.storage_settings.default_storage_provider is None
            and (inner is None or is_idle(inner))
        )

    @wraps(usual)
    def apply_path_modifier(
        self: Any, item: Any, path_modifier: Any, property: str | None = None
    ) -> Any:
        if isinstance(item, str) and is_idle(path_modifier):
            return item
        return usual(self, item, path_modifier, property=property)

    return apply_path_modifier


def if_any(usual: Callable[..., set[str]]) -> Callable[..., set[str]]:
    """Return what `FilePersistence` says is incomplete of some files: nothing, if nothing is."""

    @wraps(usual)
    def _filter_incomplete_keys(self: Any, keys: Iterable[str]) -> set[str]:
        is_known = self._incomplete_cache is not None
        return usual(self, keys) if self._incomplete_cache or not is_known else set()

    return _filter_incomplete_keys
