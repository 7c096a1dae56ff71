"""A SLURM of one node on this machine, for tests: no systemd, no cgroups, no accounting.

    python tests/tools/slurm_box.py check          say what is in the way (exit code 1), or nothing
    python tests/tools/slurm_box.py install        install the missing Debian packages
    python tests/tools/slurm_box.py run COMMAND …  run COMMAND beside a SLURM that is always stopped

Everything lies in one temporary folder, on free ports of the loopback address, but for one link:
Snakemake's job step drops SLURM_CONF before it calls `srun`, so that the configuration has to be
where SLURM looks by default. A real /etc/slurm/slurm.conf is never touched. Needs root, for munge's
socket, the fake GPUs and that link. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
LINK = Path("/etc/slurm/slurm.conf")
LOCK = Path("/tmp/ticketlens-slurm.lock")
PREFIX = "ticketlens-slurm-"
DAEMONS = ("slurmd", "slurmctld", "munged")  # in the order in which they stop
CPUS, MEMORY_MB, GPUS = 8, 64000, 2  # what the node pretends to have
SECONDS = 20.0  # for a daemon to start or to stop
CONFIGURATION = """\
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,requeue_delay=1
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
MinJobAge=7200
KillWait=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes={host} PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


class BoxError(RuntimeError):
    """What is in the way of a SLURM on this machine."""


def missing() -> list[str]:
    """Programs that the box needs and that are not installed."""
    return [name for name in PROGRAMS if find(name) is None]


def find(program: str) -> str | None:
    """Path of a program; the daemons are in /usr/sbin, which may be outside PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def check() -> None:
    """Raise BoxError if no box can start here, packages that can be installed apart."""
    if os.geteuid() != 0:
        raise BoxError("the tests on SLURM need root (in a container, say), and this is not root")
    if missing() and shutil.which("apt-get") is None:
        raise BoxError(f"{', '.join(missing())} not found, and this is not Debian (no apt-get)")
    if LINK.exists() and not LINK.is_symlink():
        raise BoxError(f"{LINK} is a real configuration: this machine has a SLURM of its own")
    if LINK.is_symlink() and not is_ours(LINK.readlink()):
        raise BoxError(f"{LINK} links to {LINK.readlink()}, which is none of ours")


def is_ours(configuration: Path) -> bool:
    """Whether a configuration is one that `write_configuration` made, now or in a dead run."""
    return configuration.parent.name.startswith(PREFIX) and configuration.name == "slurm.conf"


def install() -> None:
    """Install the Debian packages if anything is missing. Raises BoxError."""
    check()
    if not missing():
        return
    print(f"installing {', '.join(PACKAGES)}: {', '.join(missing())} not found", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-qy", "--no-install-recommends", *PACKAGES]
    # Package lists may be missing (fresh container) or old: update only if the first try fails.
    for attempt in (command, ["apt-get", "update", "-q"], command):
        done = subprocess.run(attempt, env=environment, capture_output=True, text=True)
        if attempt is command and done.returncode == 0:
            break
    if missing():
        raise BoxError(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")


@contextmanager
def running() -> Iterator[Path]:
    """A box: yields its folder, sets SLURM_CONF, stops and removes everything at the end."""
    check()
    if missing():
        raise BoxError(f"{', '.join(missing())} not found: make test-slurm installs them")
    with ExitStack() as stack:
        # One box a machine, as there is one link; the lock ends with its process.
        fcntl.flock(stack.enter_context(open(LOCK, "w")), fcntl.LOCK_EX)
        remove_leftovers()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))  # munge wants a short, open path
        folder.chmod(0o755)
        stack.callback(stop, folder)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        start(folder)
        yield folder


def start(folder: Path) -> None:
    """Start munge, controller and node in `folder`. Raises BoxError."""
    write_configuration(folder)
    daemon(
        folder, "munged", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munge.seed",
    )  # fmt: skip
    daemon(folder, "slurmctld", "-c", "-f", f"{folder}/slurm.conf")
    daemon(folder, "slurmd", "-f", f"{folder}/slurm.conf")
    if not wait_until(lambda: node_state() == "idle"):
        raise BoxError(f"the node is {node_state() or 'silent'}, not idle; {last_words(folder)}")


def fail_node(folder: Path) -> None:
    """Let the node of a box go down: its daemon is gone at once, as where power or network fail.

    What its jobs started lives on, as no one is left on the node to end it. The controller would
    see it after SlurmdTimeout (300 s); it is told.
    """
    if pid := pid_of(folder, "slurmd"):
        os.kill(pid, signal.SIGKILL)
    name = socket.gethostname().split(".")[0]
    told = ["update", f"NodeName={name}", "State=DOWN", "Reason=no answer"]
    subprocess.run([find("scontrol"), *told], check=True)


def return_node(folder: Path) -> None:
    """Start the daemon of a node that went down. Raises BoxError."""
    daemon(folder, "slurmd", "-f", f"{folder}/slurm.conf")
    if not wait_until(lambda: node_state() in ("idle", "mix", "alloc")):
        raise BoxError(f"the node is {node_state() or 'silent'}, not up; {last_words(folder)}")


def write_configuration(folder: Path) -> None:
    """Write slurm.conf, munge's key and two fake GPUs into `folder`; set the link in /etc."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o400)
    key.write_bytes(os.urandom(128))
    controller_port, node_port = free_ports(2)
    for gpu in range(GPUS):  # SLURM wants character devices: these are /dev/null by another name
        os.mknod(folder / f"nvidia{gpu}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/nvidia[0-{GPUS - 1}]\n")
    text = CONFIGURATION.format(
        host=socket.gethostname().split(".")[0], folder=folder, controller_port=controller_port,
        node_port=node_port, cpus=CPUS, memory=MEMORY_MB, gpus=GPUS,
    )  # fmt: skip
    (folder / "slurm.conf").write_text(text)
    LINK.parent.mkdir(exist_ok=True)
    LINK.symlink_to(folder / "slurm.conf")


def free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nothing listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def daemon(folder: Path, name: str, *options: str) -> None:
    """Start a daemon, which goes to the background. Raises BoxError."""
    log = folder / f"{name}.output"
    with open(log, "w") as output:  # a pipe would stay open for as long as the daemon lives
        started = subprocess.run([find(name), *options], stdout=output, stderr=output)
    if started.returncode:
        raise BoxError(f"{name} did not start: {log.read_text()}{last_words(folder)}")


def node_state() -> str:
    """State of the node as sinfo has it; empty if the controller does not answer."""
    asked = subprocess.run([find("sinfo"), "-h", "-o", "%t"], capture_output=True, text=True)
    return (asked.stdout.split() or [""])[0]


def last_words(folder: Path) -> str:
    """The ends of the daemons' logs."""
    logs = sorted(folder.glob("*.log"))
    return "".join(f"\n{log}:\n" + "\n".join(log.read_text().splitlines()[-8:]) for log in logs)


def stop(folder: Path) -> None:
    """Cancel all jobs, stop the daemons of `folder`, remove it and the link to it."""
    with suppress(subprocess.TimeoutExpired):
        subprocess.run([find("scancel"), "--user=root"], capture_output=True, timeout=10)
        wait_until(lambda: not jobs(), seconds=15)
    for name in DAEMONS:
        pid = pid_of(folder, name)
        if pid is None:
            continue
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda name=name: pid_of(folder, name) is None, seconds=10):
            with suppress(ProcessLookupError, TypeError):
                os.kill(pid_of(folder, name), signal.SIGKILL)
    if LINK.is_symlink() and LINK.readlink().parent == folder:
        LINK.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def jobs() -> list[str]:
    """Identifiers of the jobs that wait or run."""
    asked = subprocess.run(
        [find("squeue"), "-h", "-o", "%i"], capture_output=True, text=True, timeout=10
    )
    return asked.stdout.split()


def pid_of(folder: Path, name: str) -> int | None:
    """Process of a daemon of this box; None if it is gone, even if its number is in use again."""
    try:
        pid = int((folder / f"{name}.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    is_same = Path(command[0].decode()).name == name and str(folder).encode() in b"".join(command)
    return pid if is_same else None


def remove_leftovers() -> None:
    """Stop a box that a killed run left behind, and remove its folder and the link."""
    if LINK.is_symlink():
        folder = LINK.readlink().parent
        if folder.is_dir():
            os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
            stop(folder)
        LINK.unlink(missing_ok=True)


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Whether `condition` becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def run(command: list[str]) -> int:
    """Run a command beside a box; return its exit code. SIGTERM stops both."""

    def leave(*_: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, leave)
    with running() as folder:
        started = subprocess.Popen(command, start_new_session=True)
        try:
            code = started.wait()
        finally:
            # All that it started, too: a Snakemake would ask a dead SLURM for ever.
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(started.pid, number)
                    started.wait(timeout=5)
        if code:
            print(last_words(folder), file=sys.stderr)
        return code


def main(arguments: list[str]) -> int:
    """The command line above."""
    try:
        if arguments == ["check"]:
            check()
        elif arguments == ["install"]:
            install()
        elif arguments[:1] == ["run"] and len(arguments) > 1:
            return run(arguments[1:])
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except BoxError as error:
        print(f"slurm_box: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
