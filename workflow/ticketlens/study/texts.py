"""Names and titles of a config: what a folder, a template or a formula would take otherwise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

FONT = "DejaVu Sans"  # matplotlib's own
CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # categories of Unicode: control, half a pair, ends of lines
LAST_LETTER = "\u04ff"  # Latin, Greek and Cyrillic: the font has them
GREEK = r"\\(?:alpha|beta|chi|eta|lambda|mu|rho|sigma|tau|theta|xi)(?![A-Za-z])"
PLAIN_FORMULA = re.compile(
    rf"\$ *(?:(?:[0-9]+[.][0-9]+|[A-Za-z0-9]|{GREEK})(?:_[A-Za-z0-9])?[ =<>+]*)+\$"
)
"""Formulas of most titles: letters and numbers, with an index or none, and what joins them."""
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# Folders of `results/`: a study's own figures lie in results/<study>. The workflow makes the first
# ones, shipped configs the next (a test reads them), and the last are runs of docs/results.
RESERVED = frozenset({
    "bank", "bank-so-far", "benchmarks", "check", "checkpoints", "logs", "measurements",
    "published", "tables", "tickets",
    "bank-variants", "bfloat16",
    "comparison", "comparison-bank", "comparison-pilot", "comparison-pilot-bank",
    "convnet-20-epochs", "cpu", "gpu", "gpu-variants", "lenet",
    "open-resnet-seeds",
    "precision-chains", "precision-chains-bank", "quick", "sparse", "stability", "unstrided",
    "all-images", "high-rate", "isometry", "low-rate", "orthogonal-arms", "planned-seeds",
    "rates", "rewinding", "scaled-bias", "small-dense", "zero-shot",
})  # fmt: skip


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each study that is called as a folder of results, and each bad title.

    Titles are text of matplotlib: what stands between dollar signs is a formula (mathtext).
    """
    for name in config["studies"]:
        if name in RESERVED:
            yield f"studies.{name}: the name is that of a folder of results; allowed: another name"
    for section in ("studies", "arms"):
        for name, entry in config[section].items():
            title = entry.get("title")
            if isinstance(title, str):
                for allowed in _problems_of(title):
                    yield f"{section}.{name}.title is {title!r}; allowed: {allowed}"


def _problems_of(title: str) -> Iterator[str]:
    """Yield what a title may be and is not: one line, characters of the font, formulas."""
    if any(unicodedata.category(c) in CONTROLS or c in REORDERING for c in title):
        yield "text in one line, without control characters"
    elif max(title, default="") > LAST_LETTER and (missing := _without_glyph(title)):
        yield f"characters that the figures' font, {FONT}, has (it lacks {', '.join(missing)})"
    elif not title.strip():
        yield "a text that is not blank"
    elif "$" in PLAIN_FORMULA.sub("", title) and (error := _error_of(title)):
        yield f"text, with formulas between dollar signs that matplotlib can set ({error})"


def _without_glyph(title: str) -> list[str]:
    """Return the characters that figures would show as an empty box."""
    # Imported here, as for formulas.
    from matplotlib import font_manager, ft2font

    glyphs = ft2font.FT2Font(font_manager.findfont(FONT)).get_charmap()
    return [repr(c) for c in dict.fromkeys(title) if ord(c) not in glyphs]


def _error_of(title: str) -> str:
    """Return why matplotlib cannot draw a title, or nothing."""
    # Imported here, as it takes longer than all other checks, and most titles hold no formula.
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(title)
    except (ValueError, RuntimeError) as error:
        return " ".join(str(error).split())
    return ""
