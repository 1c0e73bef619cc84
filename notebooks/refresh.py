"""Run the notebooks and write back only what belongs in a repository: text, no pictures, no widget state.

python notebooks/refresh.py [NOTEBOOK ...]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KEPT = "# NBVAL_CHECK_OUTPUT"  # nbval compares these cells; the others only have to run


def refresh(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    print(f"{path.name}: {time.perf_counter() - start:.0f} s")
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = cell.source.startswith(KEPT)  # with its count: nbval calls outputs without one never run
            cell.execution_count = cell.execution_count if kept else None
            cell.outputs = cell.outputs if kept else []
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(str(p) for p in Path(__file__).parent.glob("*.ipynb")):
        refresh(Path(name))
