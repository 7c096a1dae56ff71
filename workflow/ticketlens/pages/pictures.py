"""Figures of the front page: their bytes, their panels, and the values of their curves."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ticketlens.study.catalogue import figures
from ticketlens.study.catalogue.kinds import Figure

KEYWORD = b"ticketlens\0"
NARROWEST = 300
"""Pixels of a panel that fills a phone's width; narrower ones (colour bars) keep their share."""


@dataclass(frozen=True)
class Panel:
    """A part of a picture: `box` is left, top, width, height in its pixels.

    `y` are names of y axes that are not in it, from the top, `legend` label and colour of lines.
    """

    title: str
    box: Sequence[int]
    y: Sequence[str] = ()
    legend: Sequence[Sequence[str]] = ()

    @property
    def share(self) -> int:
        """Percentage of a phone's width."""
        return min(100, round(100 * self.box[2] / NARROWEST))


@dataclass(frozen=True)
class Picture:
    """A figure of the page: `name`.png and `name`.pdf beside it, its size in pixels, its caption.

    `data` is the PNG file in base64, `shows` what `figures.described` put into it.
    """

    name: str
    width: int
    height: int
    caption: str
    data: str = ""
    shows: Mapping[str, Any] = field(default_factory=dict)

    @property
    def entry(self) -> Figure:
        """Its category, and whether it is a key figure."""
        return figures.entry(self.name)

    @property
    def title(self) -> str:
        """Its title; of one study, with the study's name."""
        wildcards = figures.wildcards(self.name)
        title = self.entry.title.format_map({"state": "", **wildcards})
        return f"{title}, {wildcards['study']}" if wildcards else title

    @property
    def panels(self) -> list[Panel]:
        """Its panels in reading order; none if there is one, or if the file does not say."""
        parts = [
            Panel(part["title"], part["box"], part.get("y", ()), part.get("legend", ()))
            for part in self.shows.get("panels", ())
        ]
        return parts if len(parts) > 1 else []

    @property
    def is_wide(self) -> bool:
        """Whether it is too wide to stand beside a table."""
        return self.width > 1.8 * self.height


def picture(name: str, path: str | Path, caption: str = "") -> Picture:
    """Return a picture from its PNG file. Raises ValueError if it is none."""
    raw = Path(path).read_bytes()
    data = base64.b64encode(raw).decode("ascii")
    return Picture(name, *image_size(raw, path), caption, data, _shows(raw))


def image_size(raw: bytes, path: str | Path) -> tuple[int, int]:
    """Return (width, height) of a PNG in pixels. Raises ValueError if it is none."""
    if len(raw) < 24 or raw[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path}: not a PNG file")
    width, height = struct.unpack(">II", raw[16:24])
    return width, height


def _shows(raw: bytes) -> dict[str, Any]:
    """Return the text chunk `ticketlens` of a PNG; empty if it has none that can be read."""
    place = 8
    while place + 12 <= len(raw):
        (length,) = struct.unpack(">I", raw[place : place + 4])
        kind, body = raw[place + 4 : place + 8], raw[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(
            ">I", raw[place + 8 + length : place + 12 + length] or b"\0" * 4
        )
        if kind == b"tEXt" and body.startswith(KEYWORD):
            if zlib.crc32(kind + body) != checksum:
                return {}
            shows: dict[str, Any] = json.loads(body.removeprefix(KEYWORD).decode("latin-1"))
            return shows
        place += 12 + length
    return {}
