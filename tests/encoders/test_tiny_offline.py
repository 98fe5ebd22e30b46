"""flawshot-tiny downloads nothing."""

import os
import subprocess
import sys

CHILD = """
import socket
def refuse(*_, **__):
    raise AssertionError("a network connection was tried")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import torch
from flawshot import TinyEncoder
encoder = TinyEncoder(layer="projection", device="cpu")
blank = torch.zeros(1, encoder.side, encoder.side, 3, dtype=torch.uint8)
print(tuple(encoder.encode(blank, blank[..., 0]).shape), tuple(encoder.encode_text(["a scratch"]).shape))
"""


def test_a_fresh_process_with_an_empty_cache_and_no_network_encodes(tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 1, 128) (1, 128)"
