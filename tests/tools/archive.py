"""The commit as an archive to deposit: `make archive` writes dist/ticketlens-VERSION.zip.

What git has (source, docs/results, the ticket bank), and ro-crate-metadata.json, by the library
rocrate: title, licence, authors, version and keywords from CITATION.cff, and for every result and
bank its size and SHA-256. Zenodo and other repositories read both.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rocrate.rocrate import ROCrate

DESCRIBED = ("docs/results/", "resources/tickets/")
MEDIA = {
    ".csv": "text/csv",
    ".png": "image/png",
    ".md": "text/markdown",
    ".h5": "application/x-hdf5",
}


def git(*arguments: str) -> str:
    """Return what git says."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def crate(root: Path, target: Path) -> None:
    """Write the metadata of the files of git in `root` to the folder `target`."""
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    found = ROCrate(gen_preview=False)
    found.name, found.description = cited["title"], " ".join(cited["abstract"].split())
    found.license, found.keywords = cited["license"], ", ".join(cited["keywords"])
    found.root_dataset["version"] = str(cited["version"])
    found.root_dataset["identifier"] = git("rev-parse", "HEAD").strip()
    when = int(git("show", "-s", "--format=%ct", "HEAD"))
    found.datePublished = datetime.fromtimestamp(when, UTC)
    for name in git("ls-files", *DESCRIBED).splitlines():
        content = (root / name).read_bytes()
        about = {
            "name": Path(name).name,
            "contentSize": str(len(content)),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        if Path(name).suffix in MEDIA:
            about["encodingFormat"] = MEDIA[Path(name).suffix]
        found.add_file(root / name, name, properties=about)
    found.metadata.write(target)


def main(target: Path) -> None:
    """Write the archive of HEAD, which must have all that the folder has."""
    root = Path(git("rev-parse", "--show-toplevel").strip())
    if git("status", "--porcelain", "--untracked-files=no"):
        sys.exit("there are changes that no commit has; commit them first")
    target.parent.mkdir(exist_ok=True)
    git(
        "archive",
        "--format=zip",
        f"--output={target.resolve()}",
        f"--prefix={target.stem}/",
        "HEAD",
    )
    with tempfile.TemporaryDirectory() as folder:
        crate(root, Path(folder))
        file = Path(folder, "ro-crate-metadata.json")
        with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.write(file, f"{target.stem}/{file.name}")
    content = target.read_bytes()
    print(f"{target}: {len(content) / 2**20:.1f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
