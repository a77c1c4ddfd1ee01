"""python server.py CLIENT SOCKET: fork Python programs from one process that has imported what they would wait for.

A program starts in some 50 ms instead of 6 s. It is `python -c`, `-m` or a file, and has its own words, folder,
environment and open files, which `client.py` sends. Ends, with all its programs, when its standard input does.
"""

import atexit
import fcntl
import gc
import importlib
import importlib.util
import json
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType

HEAVY = (
    "torch", "torch.distributed.run", "torch.distributed.tensor", "transformers", "transformers.trainer",
    "accelerate", "peft", "datasets", "deepspeed", "sklearn", "scipy.stats", "matplotlib.pyplot",
    "hf_strategies.runs.pretraining", "hf_strategies.runs.finetuning", "hf_strategies.planning",
)  # fmt: skip
FLAGS = ("-u", "-B")
# What libraries read of the environment while they are imported.
IMPORTED_WITH = ("HF_HOME", "HF_HUB_", "HF_DATASETS_", "HF_MODULES_", "OMP_", "MKL_", "CUDA_", "TRANSFORMERS_", "XDG_")


def starts_here(words: list[str], environment: dict[str, str]) -> bool:
    """Whether a fork is what a fresh interpreter would be; what the environment leaves open is as it is here."""
    first = next((word for word in words if word not in FLAGS), "-")
    return (first in ("-c", "-m") or not first.startswith("-")) and all(
        os.environ.get(name) == value for name, value in environment.items() if name.startswith(IMPORTED_WITH)
    )


def be(words: list[str]) -> None:
    """Be the program, in a process that is its own."""
    while words[0] in FLAGS:
        flag, *words = words
        if flag == "-u":
            sys.stdout.reconfigure(line_buffering=True)
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    program = sys.modules["__main__"] = ModuleType("__main__")
    program.__builtins__ = __builtins__
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        exec(compile(words[1], "<string>", "exec"), program.__dict__)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        program.__file__ = str(Path.cwd() / words[0])
        exec(compile(Path(words[0]).read_bytes(), words[0], "exec"), program.__dict__)


def place(files: list[int], numbers: list[int]) -> None:
    """Give open files the numbers that they had in the client."""
    apart = [fcntl.fcntl(file, fcntl.F_DUPFD, 256) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(apart, numbers):
        os.dup2(file, number)
        os.close(file)


def run(words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a program in this process and end as an interpreter does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [place for place in own if place and place not in sys.path]
    sys.executable = sys.argv[1]  # what the program starts starts at once, too
    random.seed()
    sys.modules["numpy"].random.seed()
    code = 0
    try:
        be(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if not isinstance(ended.code, int | None):
            print(ended.code, file=sys.stderr)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        code = 1
        sys.excepthook(*sys.exc_info())
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class Server:
    """Forks, and tells clients how their programs ended."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.programs: set[int] = set()
        self.selector = selectors.DefaultSelector()
        self.selector.register(0, selectors.EVENT_READ, self.end)
        self.selector.register(self.listening, selectors.EVENT_READ, self.accept)

    def serve(self) -> None:
        while True:
            for key, _ in self.selector.select():
                if self.selector.get_map().get(key.fd) == key:  # not closed, or another's, by what came with it
                    key.data()

    def accept(self) -> None:
        client, _ = self.listening.accept()
        size, files, _, _ = socket.recv_fds(client, 4, 64)
        if len(size) < 4:  # it was killed in between
            client.close()
            return
        with client.makefile("rb") as sent:
            *asked, numbers = json.loads(sent.read(int.from_bytes(size, "big")))
        words, _, environment = asked
        if not starts_here(words, environment):
            client.send(b"fresh")
            client.close()
        elif (process := os.fork()) == 0:
            os.setsid()
            self.leave()
            client.close()
            place(files, numbers)
            run(*asked)
        else:
            self.programs.add(process)
            end = os.pidfd_open(process)
            self.selector.register(end, selectors.EVENT_READ, lambda: self.tell(process, end, client))
            self.selector.register(client, selectors.EVENT_READ, lambda: self.pass_on(process, client))
        for file in files:
            os.close(file)

    def leave(self) -> None:
        """Close in a fork what is the server's."""
        for key in list(self.selector.get_map().values()):
            if key.fd != 0:
                os.close(key.fd)
        self.selector.close()

    def pass_on(self, process: int, client: socket.socket) -> None:
        """Send the program a signal that its client got, or kill it as its client was killed."""
        if numbers := client.recv(16):
            for number in numbers:
                os.kill(process, number)
        else:
            self.kill(process)
            self.selector.unregister(client)
            client.close()

    def tell(self, process: int, end: int, client: socket.socket) -> None:
        """Tell the client how its program ended."""
        self.selector.unregister(end)
        os.close(end)
        _, status = os.waitpid(process, 0)
        self.programs.remove(process)
        if client.fileno() != -1:
            self.selector.unregister(client)
            with suppress(BrokenPipeError):
                client.send(str(os.waitstatus_to_exitcode(status)).encode())
            client.close()

    def kill(self, process: int) -> None:
        """Kill a program, and what has its group."""
        os.kill(process, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)

    def end(self) -> None:
        for process in self.programs:
            self.kill(process)
        os._exit(0)


def main() -> None:
    for name in HEAVY:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    sys.path.remove(str(Path(__file__).parent))
    Server(socket.socket(fileno=int(sys.argv[2]))).serve()


if __name__ == "__main__":
    main()
