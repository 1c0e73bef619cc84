"""Copies of averages of steps that a run was taken back from are gone with these steps."""

import math

import pytest
import torch
from small_runs import states

from difflab.training import TrainingDiverged


@pytest.mark.parametrize("folder", [False, True])
def test_a_divergence_forgets_what_was_kept_of_later_steps(folder, tmp_path):
    run = None
    with pytest.raises(TrainingDiverged):  # noqa: PT012
        for state in states(400, averages=(0.05, 0.1), folder=tmp_path / "run" if folder else None, save_every=130):
            run = state.run
            if state.step == 170:
                assert run.averages.snapshots.steps == [32, 64, 96, 128, 160]
                with torch.no_grad():
                    next(iter(run.denoiser.parameters())).fill_(math.nan)
    assert run.step == 100
    assert run.averages.snapshots.steps == [32, 64, 96]
