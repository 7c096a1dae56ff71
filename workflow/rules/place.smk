# Needs: nothing.
# Makes: WORKFLOW, the folder of rules, scripts and library on this machine.

import os.path
import tempfile
import zipfile


def unpacked(source):
    """The file `source` of a workflow that Snakemake fetches from a git host, in its whole commit.

    Of `github(...)`, as snakedeploy writes it, Snakemake (9.27) fetches Snakefiles and scripts.
    """
    repository = source.hosted_repo.repo
    commit = repository.commit(source.ref).hexsha
    whole = os.path.abspath(f".snakemake/ticketlens/{commit}")
    if not os.path.exists(whole):
        with tempfile.TemporaryFile() as archive:
            repository.archive(archive, commit, format="zip")
            zipfile.ZipFile(archive).extractall(f"{whole}.new")
        os.rename(f"{whole}.new", whole)
    return os.path.join(whole, source.path)


# Wherever the entry point stands: a root Snakefile, a module's importer, a git host.
HERE = workflow.current_basedir
WORKFLOW = os.path.dirname(str(HERE) if HERE.is_local else unpacked(HERE))
