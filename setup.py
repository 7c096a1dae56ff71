"""The parts of the workflow that the library needs when it is installed alone, beside its modules.

Metadata are in pyproject.toml. Schema and captions stand in workflow/, where Snakemake's users look
for them; a wheel holds copies in the package.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("schemas", "report")


class WithWorkflowFiles(build_py):
    """Copy workflow/schemas and workflow/report into the built package."""

    def run(self) -> None:
        """Build the package, then copy."""
        super().run()
        if self.editable_mode:  # the files are where they are
            return
        for folder in FOLDERS:
            target = Path(self.build_lib) / "ticketlens" / folder
            shutil.copytree(Path("workflow") / folder, target, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithWorkflowFiles})
