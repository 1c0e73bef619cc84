"""`difflab lab`: JupyterLab on the Lab, or on the scene of a preset."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: where the Lab's kernels look for the preset's path; they inherit the server's environment
VARIABLE = "DIFFLAB_PRESET"


def lab(flags: list[str]) -> int:
    """Run JupyterLab with its own `flags`; `--preset FILE` among them is ours. SystemExit, in one sentence, for a bad file."""
    preset, rest = _split(flags)
    if preset is not None:
        from ..scenes.preset import read

        try:
            read(preset)
        except ValueError as error:
            raise SystemExit(f"difflab lab: {error}") from None
        os.environ[VARIABLE] = str(Path(preset).resolve())
    try:
        from ..server import lab as serve
    except ModuleNotFoundError as error:
        print(f"difflab lab: {error.name} is missing; install it with: pip install 'difflab[lab]'", file=sys.stderr)
        return 1
    serve(rest)
    return 0


def _split(flags: list[str]) -> tuple[str | None, list[str]]:
    """The preset, and JupyterLab's flags."""
    preset, rest = None, []
    given = iter(flags)
    for flag in given:
        if flag == "--preset":
            preset = next(given, None)
            if preset is None:
                raise SystemExit("difflab lab: --preset needs a file; write one with scene.save_preset(FILE).")
        elif flag.startswith("--preset="):
            preset = flag.partition("=")[2]
        else:
            rest.append(flag)
    return preset, rest
