"""Stand for `python WORD...`, which runs as a fork of the server: its open files, signals and exit are this process's.

The server's socket lies beside this file. Who kills this process kills the fork, too.
"""

import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def is_inherited(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # the listing's own, closed by now
        return False


def main() -> None:
    inherited = [number for number in map(int, os.listdir("/proc/self/fd")) if is_inherited(number)]
    server = socket.socket(socket.AF_UNIX)
    server.connect(os.path.join(os.path.dirname(os.path.abspath(__file__)), "socket"))
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: server.send(bytes([number])))
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), inherited]).encode()
    socket.send_fds(server, [len(request).to_bytes(4, "big")], inherited)
    server.sendall(request)
    answer = server.recv(64).decode()
    if answer == "fresh":
        server.close()
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    code = int(answer or 1)  # 1: the server has ended
    if code < 0:
        if -code in PASSED_ON:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
