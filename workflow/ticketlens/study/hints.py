"""What an error says of a name that nothing defines."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[object]) -> str:
    """Return "; did you mean 'x'?" for the known name that is nearest, or "" if none is near."""
    near = difflib.get_close_matches(name, [str(value) for value in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
