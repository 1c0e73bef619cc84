"""The low-latency connection, on a server that runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import websocket
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from difflab.server import ADDRESS, CONNECTION, LowLatencyConnection, arguments

# In the server's process: what the operating system says of the socket once the connection stands.
PROBE = """
import socket
from pathlib import Path
from {module} import {name}

class Probe({name}):
    def connect(self):
        future = super().connect()
        stream = self.websocket_handler.ws_connection.stream
        Path("nodelay").write_text(str(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        return future
"""


def nodelay_of(connection: type, folder: Path) -> int:
    """TCP_NODELAY on a kernel's websocket of a server with this connection class."""
    (folder / "probe.py").write_text(PROBE.format(module=connection.__module__, name=connection.__name__))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        "--ServerApp.disable_check_xsrf=True",
        f"--{CONNECTION}=probe.Probe",
    ]
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder),
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *flags],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"127.0.0.1:{port}/api"
        for _ in range(300):
            try:
                requests.get(f"http://{url}/status", timeout=5).raise_for_status()
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        kernel = requests.post(f"http://{url}/kernels", json={"name": "python3"}, timeout=60).json()["id"]
        client = websocket.create_connection(f"ws://{url}/kernels/{kernel}/channels", timeout=60)
        try:
            for _ in range(300):
                if (folder / "nodelay").exists() and (text := (folder / "nodelay").read_text()):
                    return int(text)
                time.sleep(0.1)
        finally:
            client.close()
        raise AssertionError((folder / "log").read_text())
    finally:
        server.terminate()
        server.wait(30)


def test_small_messages_leave_at_once(tmp_path: Path) -> None:
    assert nodelay_of(LowLatencyConnection, tmp_path) != 0


def test_they_wait_without_it(tmp_path: Path) -> None:
    """What makes the test above one that can fail. When this fails, Jupyter does it by itself: drop our class."""
    assert nodelay_of(ZMQChannelsWebsocketConnection, tmp_path) == 0


def test_jupyterlab_gets_our_settings_and_the_users_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ours = [f"--{CONNECTION}=difflab.server.LowLatencyConnection", f"--LabApp.default_url={ADDRESS}"]
    assert arguments([]) == ours
    assert arguments(["--port", "8899", "--no-browser"]) == [*ours, "--port", "8899", "--no-browser"]


def test_what_the_user_says_is_not_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    given = ["--LabApp.default_url=/lab", f"--{CONNECTION}=theirs.Connection"]
    assert arguments(given) == given


def test_root_is_let_in_only_where_nobody_else_can_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--allow-root" in arguments([])
    assert "--allow-root" not in arguments(["--ip=0.0.0.0"])
    assert arguments(["--allow-root"]).count("--allow-root") == 1
