"""The command line: `ticketlens look FILE [--images FOLDER] [--out DIR]`."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ticketlens import __version__

OPTIONS = "on the command line network= is --activation, --stride 1,2,2 and --padding zeros"
DESCRIPTION = "The lottery ticket hypothesis through random matrix theory, for one file at a time."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 1 after one line about what is wrong."""
    parsed = _parser().parse_args(arguments)
    try:
        _look(parsed)
    except (ValueError, OSError) as error:
        from ticketlens.files.tensors import in_one_line

        options = f"; {OPTIONS}" if "network=" in str(error) else ""
        print(f"ticketlens: {in_one_line(str(error))}{options}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ticketlens", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"ticketlens {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    look = commands.add_parser(
        "look",
        help="measure one pruned network: tables, figures, one HTML page",
        description="Measure one pruned network of any system: CSV tables, figures, one HTML page.",
    )
    look.add_argument("file", help=".safetensors, .pt, .npz, ticket.h5, or an open_lth level")
    look.add_argument("--images", help="a folder of images, for q, chi and Jacobians")
    look.add_argument("--out", help="where to write; default: NAME-look, by FILE's name")
    look.add_argument("--masks", help="a file with the masks of the weights in FILE")
    look.add_argument("--state", choices=("init", "trained"), help="what the weights are")
    look.add_argument("--activation", help="tanh, relu, hard_tanh, erf or linear")
    look.add_argument("--stride", help="of convolutions: 1, or 1,2,2,1 with one for each")
    look.add_argument("--padding", choices=("zeros", "circular"), help="of convolutions")
    look.add_argument("--mean", help="of the training images' channels, pixels from 0 to 1: a,b,c")
    look.add_argument("--std", help="as --mean")
    return parser


def _look(parsed: argparse.Namespace) -> None:
    from ticketlens import lens
    from ticketlens.files.atomic import replacing, write_text
    from ticketlens.files.tensors import in_one_line

    source = Path(parsed.file)
    # The folder of a level of open_lth is …/level_3/main: "main" says nothing.
    name = "-".join(source.resolve().parts[-2:]) if source.is_dir() else source.name
    stem = name if source.is_dir() else source.stem
    out = Path(parsed.out) if parsed.out else Path(f"{stem}-look")
    tables = lens.look(
        source,
        parsed.images,
        _numbers("--mean", parsed.mean),
        _numbers("--std", parsed.std),
        network=_network(parsed),
        masks=parsed.masks,
        state=parsed.state,
        strict=False,
    )
    notes = next(iter(tables.values())).attrs["notes"]
    import matplotlib.pyplot as plt

    from ticketlens.figures.look import FIGURES
    from ticketlens.pages.look_page import page, verdicts

    figures = {}
    for key, (needs, draw, caption) in FIGURES.items():
        if needs in tables:
            figure, buffer = draw(tables), io.BytesIO()
            figure.savefig(buffer, format="png", dpi=150)
            plt.close(figure)
            figures[key] = (buffer.getvalue(), caption)
    html = page(f"ticketlens: {name}", tables, figures, notes)
    # All is there before the first file is written.
    for key, table in tables.items():
        with replacing(out / f"{key}.csv") as temporary:
            table.to_csv(temporary, index=False)
    for key, (png, _) in figures.items():
        with replacing(out / f"{key}.png") as temporary:
            temporary.write_bytes(png)
    write_text(out / "index.html", html)
    for line in (*verdicts(tables), *(f"note: {note}" for note in notes)):
        print(in_one_line(line))
    print(f"{len(tables)} tables, {len(figures)} figures, page: {out / 'index.html'}")


def _network(parsed: argparse.Namespace) -> dict[str, Any] | None:
    said: dict[str, Any] = {}
    for key in ("activation", "padding"):
        if getattr(parsed, key) is not None:
            said[key] = getattr(parsed, key)
    if parsed.stride is not None:
        strides = [int(number) for number in _numbers("--stride", parsed.stride) or ()]
        said["stride"] = strides[0] if len(strides) == 1 else strides
    return said or None


def _numbers(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} is {text!r}; allowed: numbers with commas between") from None


if __name__ == "__main__":
    sys.exit(main())
