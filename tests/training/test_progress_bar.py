"""The bar around `fit`: it ends where the training ends and says the loss of that step, in a terminal and in a notebook."""

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from small_runs import RING, states

from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import TrainingDiverged, fit


def fitted(steps, **options):
    """The training of `small_runs.states`."""
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16, seed=0)
    options = {"batch": 16, "device": "cpu", "generator": torch.Generator().manual_seed(7)} | options
    return fit(denoiser, RING, steps=steps, clip_gradient=0.5, **options)


@pytest.mark.parametrize("steps", [1, 7, 60])
def test_a_terminal_ends_with_the_last_step_and_its_loss(capsys, steps):
    *_, last = states(steps)
    fitted(steps)
    line = capsys.readouterr().err.rpartition("\r")[2]
    assert f" {steps}/{steps} " in line
    assert line.rstrip().endswith(f"step/s, loss={float(last.loss):.4f}]")


def test_a_run_that_goes_on_begins_its_bar_there(tmp_path, capsys):
    fitted(40, folder=tmp_path / "run")
    capsys.readouterr()
    fitted(60, folder=tmp_path / "run", resume=True)
    shown = capsys.readouterr().err
    assert "| 40/60 [" in shown
    assert "| 60/60 [" in shown
    assert " 0/60 " not in shown


def test_a_training_that_ends_early_leaves_its_bar_there(capsys):
    with pytest.raises(TrainingDiverged):
        fitted(60, lr=1e30)
    assert "/60 [" in capsys.readouterr().err.rpartition("\r")[2]


def test_a_training_without_a_bar_writes_nothing(capsys):
    fitted(20, progress=False)
    assert capsys.readouterr() == ("", "")


IMPORTS = "import sys; sys.path.insert(0, {!r}); from test_progress_bar import fitted"
VIEW = "application/vnd.jupyter.widget-view+json"


def test_a_notebook_has_a_bar_that_ends_green_or_red(request):
    """As the file of a notebook holds it: widgets in place of text, with the state that they were left in."""
    sources = [IMPORTS.format(str(request.path.parent)), "fitted(60);", "fitted(60, lr=1e30)"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=60, allow_errors=True, kernel_name="python3")
    client.execute()
    assert [o.output_type for o in cells[2].outputs][-1] == "error"
    for cell, style in zip(cells[1:], ("success", "danger"), strict=True):
        assert not [o for o in cell.outputs if o.output_type == "stream" and "step/s" in o.text]
        (box,) = [o["data"][VIEW]["model_id"] for o in cell.outputs if VIEW in o.get("data", {})]
        parts = [
            client.widget_state[child.removeprefix("IPY_MODEL_")] for child in client.widget_state[box]["children"]
        ]
        _, bar, right = parts
        assert (bar["max"], bar["bar_style"], bar["value"] == 60) == (60, style, style == "success")
        assert "step/s" in right["value"]
        assert "loss=" in right["value"]
