"""Event files tell TensorBoard what metrics.csv tells everybody."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_runs import killed_at, states
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from difflab.cli import main
from difflab.training import metrics
from difflab.training.event_files import SCALARS


def shown(folder):
    """{scalar: [(step, value)]} as TensorBoard reads the event files of a run; 0: all of them, not a sample."""
    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def assert_as_in_the_file(folder, steps):
    """Events hold float32."""
    rows, told = metrics(folder), shown(folder)
    assert rows["step"].tolist() == steps
    assert set(told) == set(SCALARS)
    for name in SCALARS:
        assert told[name] == [(int(k), float(np.float32(v))) for k, v in zip(rows["step"], rows[name], strict=True)]


def test_the_events_are_the_rows(tmp_path):
    for _ in states(120, folder=tmp_path / "run", tensorboard=True):
        pass
    assert_as_in_the_file(tmp_path / "run", [50, 100, 120])


def test_there_are_none_unless_asked_for(tmp_path):
    for _ in states(60, folder=tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_killed_run_goes_on_in_its_events_without_gap_or_double(tmp_path):
    """Killed at step 260 with the checkpoint of step 170: rows up to 250 are there, and those after 170 come anew."""
    options = {"save_every": 170, "tensorboard": True}
    killed_at(260, tmp_path / "first", tmp_path / "run", **options)
    assert_as_in_the_file(tmp_path / "run", [50, 100, 150, 200, 250])
    first = states(320, folder=tmp_path / "run", resume=True, **options)
    for _ in range(10):
        next(first)
    first.close()
    assert [k for k, _ in shown(tmp_path / "run")["loss"]] == [50, 100, 150]
    for _ in states(320, folder=tmp_path / "run", resume=True, **options):
        pass
    assert_as_in_the_file(tmp_path / "run", [50, 100, 150, 200, 250, 300, 320])


def test_who_asks_later_sees_the_whole_run(tmp_path):
    for _ in states(120, folder=tmp_path / "run"):
        pass
    for _ in states(200, folder=tmp_path / "run", resume=True, tensorboard=True):
        pass
    assert_as_in_the_file(tmp_path / "run", [50, 100, 120, 150, 200])


@pytest.fixture
def without_tensorboard(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("torch.utils.tensorboard"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)


def test_where_tensorboard_is_missing_a_sentence_says_so_before_anything_begins(tmp_path, without_tensorboard):
    with pytest.raises(
        ImportError, match=r"^tensorboard=True needs the package .*: pip install 'difflab\[tensorboard\]'\.$"
    ):
        states(60, folder=tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()
    for _ in states(60, folder=tmp_path / "run"):  # nobody else needs it
        pass


RECIPE = """
[data]
name = "ring"
[model]
width = 16
[training]
steps = 60
batch = 16
threads = 1
tensorboard = true
"""


def test_a_recipe_asks_for_event_files(tmp_path, capsys):
    (tmp_path / "ring.toml").write_text(RECIPE)
    assert main(["train", str(tmp_path / "ring.toml"), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
    told = shown(tmp_path / "run")
    assert [k for k, _ in told["loss"]] == [50, 60]
    assert "gradient_norm" not in told  # nothing is clipped here


def test_a_recipe_says_what_is_missing(tmp_path, without_tensorboard):
    (tmp_path / "ring.toml").write_text(RECIPE)
    with pytest.raises(SystemExit, match=r"pip install 'difflab\[tensorboard\]'\.$"):
        main(["train", str(tmp_path / "ring.toml"), "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_a_program_that_ends_in_the_middle_of_a_run_ends(tmp_path):
    """TensorBoard's writer has a thread, and who waits for a thread while Python ends waits without end."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from small_runs import states
from pathlib import Path
run = states(320, folder=Path({str(tmp_path / "run")!r}), tensorboard=True)
for _ in range(60):
    state = next(run)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=100, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_as_in_the_file(tmp_path / "run", [50])
