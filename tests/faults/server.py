"""Processes for faults: forked from one that has everything loaded, so that each costs milliseconds, not seconds."""

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class ForkServer:
    """A warm process that forks a child for each job, and says how it ended."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.faults.server", str(theirs.fileno())]
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()

    def fork(self, **job: Any) -> tuple[int, socket.socket]:
        """Start a child with a job; its process and the socket that it speaks to."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._socket, [json.dumps(job).encode()], [theirs.fileno()])
        theirs.close()
        return int(self._socket.recv(64)), ours

    def wait(self, process: int) -> int:
        """Wait for the end of a child; its exit status, negative for the signal that killed it."""
        self._socket.send(json.dumps({"wait": process}).encode())
        return int(self._socket.recv(64))

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait()


def serve(server: socket.socket) -> None:
    """Fork children until the other end is closed."""
    from tests.faults.workload import JOBS, warm

    warm()
    while True:
        message, descriptors, _, _ = socket.recv_fds(server, 65_536, 1)
        if not message:
            return
        job = json.loads(message)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            server.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        child = os.fork()
        if not child:
            status = 1
            try:
                server.close()
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                JOBS[job.pop("name")](descriptors[0], **job)
                status = 0
            except BaseException:  # noqa: BLE001 - whatever it was, the supervisor is told
                os.write(descriptors[0], f"broken {json.dumps(traceback.format_exc())}\n".encode())
            os._exit(status)
        os.close(descriptors[0])
        server.send(str(child).encode())


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
