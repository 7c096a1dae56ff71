"""Runs a notebook's cells without Jupyter, and keeps what they print and draw as its outputs.

`python tests/tools/notebooks.py docs/tour.ipynb` writes the outputs anew; a test runs the cells and
compares what they print.
"""

from __future__ import annotations

import base64
import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat

DPI = 70


def run(path: Path) -> Any:
    """Return the notebook with fresh outputs: what each cell prints, and its figures as PNG.

    Cells run in order in one namespace, in the working directory. An error is raised as it is.
    """
    mpl.use("agg")
    import matplotlib.pyplot as plt

    plt.close("all")  # figures that others left open in this process are not the notebook's
    notebook = nbformat.read(path, as_version=4)
    names: dict[str, Any] = {}
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(cell.source, f"{path.name}, cell {number}", "exec"), names)
        cell.execution_count, cell.outputs = number, []
        if printed.getvalue():
            cell.outputs.append(nbformat.v4.new_output("stream", text=printed.getvalue()))
        for figure in map(plt.figure, plt.get_fignums()):
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
            data = {"image/png": base64.b64encode(buffer.getvalue()).decode() + "\n"}
            cell.outputs.append(nbformat.v4.new_output("display_data", data=data))
        plt.close("all")
    return notebook


def printed(notebook: Any) -> list[str]:
    """Return what the cells printed, one text for each that did."""
    streams = (out for c in notebook.cells if c.cell_type == "code" for out in c.outputs)
    return [out.text for out in streams if out.output_type == "stream"]


if __name__ == "__main__":
    nbformat.write(run(Path(sys.argv[1])), sys.argv[1])
