"""JupyterLab as the Lab likes it: small messages leave at once, and the browser opens on the Lab."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

CONNECTION = "ServerApp.kernel_websocket_connection_class"

#: the workspace in which the extension opens the Lab. A path, not a query: Jupyter prints it with its token behind
ADDRESS = "/lab/workspaces/difflab"


class LowLatencyConnection(ZMQChannelsWebsocketConnection):  # type: ignore[misc]
    """The kernel's websocket with Nagle's algorithm off.

    With it on, a small message waits for the acknowledgement of the one before, which the other side delays: about 40 ms a
    round trip, on any machine. Give it to any Jupyter server as `ServerApp.kernel_websocket_connection_class`.
    """

    def connect(self) -> Any:
        self.websocket_handler.set_nodelay(True)
        return super().connect()


def arguments(given: Sequence[str]) -> list[str]:
    """JupyterLab's command line: what was `given`, and our own settings where it does not speak of them."""

    def said(*flags: str) -> bool:
        return any(argument.split("=")[0] in {f"--{flag}" for flag in flags} for argument in given)

    own = []
    if not said(CONNECTION):
        own.append(f"--{CONNECTION}=difflab.server.LowLatencyConnection")
    if not said("LabApp.default_url", "ServerApp.default_url"):
        own.append(f"--LabApp.default_url={ADDRESS}")
    if getattr(os, "geteuid", lambda: 1)() == 0 and not said(
        "allow-root", "ip", "ServerApp.ip", "ServerApp.allow_root"
    ):
        own.append("--allow-root")  # in a container; without --ip only this machine can reach the server
    return [*own, *given]


def lab(given: Sequence[str] = ()) -> None:
    """Run JupyterLab until it is stopped; `given` are JupyterLab's own flags, such as --no-browser or --port 8899."""
    from jupyterlab.labapp import LabApp

    # JupyterLab finds `jupyter` commands and our extension beside the Python it runs in.
    sys.argv[0] = "jupyter-lab"
    LabApp.launch_instance(arguments(given))
