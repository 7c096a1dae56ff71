"""Arms by their titles, where pages show rows of claims.csv, which name them as the config does."""

from __future__ import annotations

import re
from collections.abc import Mapping

COLUMNS = ("case", "quantity", "reason")


def by_title(text: str, titles: Mapping[str, str]) -> str:
    """Return `text` with each arm's title for its name, in quotation marks, as titles have commas.

    A title that is the arm's name stays as it is.

    >>> arm_titles.by_title("imp-matched − imp, round 7", {"imp-matched": "IMP mask, own std"})
    '“IMP mask, own std” − imp, round 7'
    """
    named = {name: title for name, title in titles.items() if title != name}
    if not named:
        return text
    longest_first = sorted(named, key=len, reverse=True)
    found = rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?![\w-])"
    return re.sub(found, lambda match: f"“{named[match[1]]}”", text)


def of_config(config: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, str]:
    """Return the titles of a config's arms by name; an arm without a title is left out."""
    titles = {name: arm["title"] for name, arm in config["arms"].items() if "title" in arm}
    return {"imp": "IMP ticket", **titles}
