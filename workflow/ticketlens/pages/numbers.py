"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable

MINUS = "−"


def number(text: str) -> str:
    """Return a number of a table with three significant digits; empty text is a dash."""
    if text == "":
        return "–"
    value = float(text)
    shown = f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return shown.replace("-", MINUS)


def duration(seconds: float) -> str:
    """Return a time that people read: '3.2 s', '4 min 05 s', '2 h 10 min', '3 d 4 h'."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def ranges(numbers: Iterable[int]) -> str:
    """Return integers as text, runs of three or more as ranges: '0–7, 9'."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(
        f"{part[0]}–{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts
    )
