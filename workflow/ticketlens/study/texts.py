"""Names and titles of a config: what a folder, a template or a formula would take otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Folders of `results/`: a study's own figures lie in results/<study>.
RESERVED = (
    *(
        "bank",
        "bank-so-far",
        "bank-variants",
        "benchmarks",
        "checkpoints",
        "logs",
        "measurements",
        "published",
    ),
    *("quick", "tables", "tickets"),
)


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each study that is called as a folder of results, and each bad title.

    Titles are text of matplotlib: what stands between dollar signs is a formula (mathtext).
    """
    for name in config["studies"]:
        if name in RESERVED:
            yield f"studies.{name}: the name is that of a folder of results; allowed: another name"
    for section in ("studies", "arms"):
        for name, entry in config[section].items():
            title = entry.get("title", "")
            error = _error_of(title) if isinstance(title, str) and "$" in title else ""
            if error:
                yield (
                    f"{section}.{name}.title is {title!r}; allowed: text, with formulas between "
                    f"dollar signs that matplotlib can set ({error})"
                )


def _error_of(title: str) -> str:
    """Return why matplotlib cannot draw a title, or nothing."""
    # Imported here, as it takes longer than all other checks, and most titles hold no formula.
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(title)
    except (ValueError, RuntimeError) as error:
        return " ".join(str(error).split())
    return ""
