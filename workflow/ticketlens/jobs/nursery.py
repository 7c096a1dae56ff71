"""The process that is forked for every job: see `ticketlens.jobs.warm`, which starts it.

    python -P -m ticketlens.jobs.nursery FD LIBRARY...

imports the libraries, says so through the socket FD, and then takes requests: a script, its folder
and its environment, with a socket for the answer. The answer is the job's process id, and when it
has ended its exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import threading
import traceback
import types
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

SIZE = 1 << 20


@dataclass(frozen=True)
class Request:
    """A script to run, in a folder and an environment."""

    script: str
    folder: str
    environment: dict[str, str]


def serve(control: socket.socket) -> Request | None:
    """Fork for each request; return it in the fork, None when the other end has closed."""
    # A signal's number arrives in a pipe, so that `select` sees the end of a fork.
    ended, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Ctrl-C reaches the jobs, too; this process has to tell how they end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers: dict[int, socket.socket] = {}
    sources = [control.fileno(), ended]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if ended in ready:
            os.read(ended, SIZE)
            tell_of_the_ended(answers)
        if control.fileno() not in ready:
            continue
        text, files, _, _ = socket.recv_fds(control, SIZE, 1)
        if not text:
            return None
        answer = socket.socket(fileno=files[0])
        pid = os.fork()
        if pid:
            answers[pid] = answer
            with suppress(OSError):
                answer.send(str(pid).encode())
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (control, answer, *answers.values()):
            one.close()
        os.close(ended)
        os.close(write)
        return Request(*json.loads(text))


def tell_of_the_ended(answers: dict[int, socket.socket]) -> None:
    """Send the exit code of each fork that has ended."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with answers.pop(ended[0]) as answer, suppress(OSError):
                answer.send(str(os.waitstatus_to_exitcode(ended[1])).encode())


def become(request: Request) -> NoReturn:
    """Run a script as `python SCRIPT` would, in this process, and end it."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv = [request.script]
    sys.path.insert(0, os.path.dirname(request.script))
    with suppress(OSError), open("/proc/self/comm", "w", encoding="utf-8") as name:
        name.write(request.script.removesuffix(".py")[-15:])  # what `top` shows
    _forget_what_forks_share()
    main = types.ModuleType("__main__")
    main.__file__ = request.script
    sys.modules["__main__"] = main
    code = 0
    try:
        with open(request.script, "rb") as file:
            compiled = compile(file.read(), request.script, "exec")
        exec(compiled, main.__dict__)
    except SystemExit as stop:
        code = _number(stop)
    except BaseException as error:
        # The script's own lines alone: the one above is the same in every job.
        traceback.print_exception(error.with_traceback(_below(error.__traceback__)))
        code = 1
    _end(code)


def _number(stop: SystemExit) -> int:
    """Return the exit code of `sys.exit(...)`, which may also give a last word."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    print(stop.code, file=sys.stderr)
    return 1


def _below(trace: types.TracebackType | None) -> types.TracebackType | None:
    return trace.tb_next if trace else None


def _end(code: int) -> NoReturn:
    """End as the forks of `multiprocessing` do.

    What an interpreter does beyond this at its end, such as freeing all objects of PyTorch one by
    one, takes 0.3 CPU-s.
    """
    for step in (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):  # type: ignore[attr-defined]
        try:
            step()
        except Exception:
            traceback.print_exc()
            code = code or 1
    os._exit(code)


def _forget_what_forks_share() -> None:
    """Give this fork random numbers and a temporary folder of its own, as a new process has."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if tempfile := sys.modules.get("tempfile"):
        tempfile.__dict__["tempdir"] = None


def main(arguments: list[str]) -> None:
    """Import, then serve; a fork leaves by the script that it runs."""
    control = socket.socket(fileno=int(arguments[0]))
    for library in arguments[1:]:
        import_module(library)
    if len(os.listdir("/proc/self/task")) > 1:
        return  # a fork would have no second thread: such jobs start as usual
    # A collection in a fork would touch, and so copy, what they all share.
    gc.collect()
    gc.freeze()
    control.send(b"ready")
    request = serve(control)
    if request is not None:
        become(request)


if __name__ == "__main__":
    main(sys.argv[1:])
