"""Stands where a program is started, and has a copy of a process run it: see ``forked_programs``."""

import json
import os
import signal
import socket
import sys

here = socket.socket(socket.AF_UNIX)
here.connect(sys.argv[1])
told = json.dumps([sys.argv[2:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(here, [len(told).to_bytes(4, "big")], [0, 1, 2])
here.sendall(told)
signal.signal(signal.SIGINT, lambda *_: here.sendall(b"c"))
for stream in (0, 1, 2):
    os.close(stream)
os._exit(int(here.recv(8) or b"1"))
