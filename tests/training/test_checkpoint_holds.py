"""A checkpoint has everything in it that it claims, nothing else, and no pickle is opened on any way to it."""

import ast
import json
import pickle
import platform
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch

import difflab
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import CheckpointError, Settings, Trainer, load, prepare, train
from difflab.training.fingerprint import fingerprint

RING = GaussianMixture.ring()
HOUSE = Path(difflab.__file__).parent
#: the only files that may know pickle: they talk through pipes to processes that they started themselves, never to a file
BETWEEN_PROCESSES = {"training/sweeps/worker.py", "training/sweeps/local_processes.py"}


def fresh():
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16)


def saved(path, **options):
    *_, state = train(fresh(), RING, steps=70, batch=16, device="cpu", **options)
    state.save(path)
    return state.run, load(path)


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, set()),
        ({"averages": (0.05, 0.1)}, {"averages"}),
        ({"times": "loss"}, {"objective"}),
        ({"weighting": "uncertainty"}, {"objective"}),
    ],
    ids=["plain", "averages", "times that learn", "a weighting that learns"],
)
def test_everything_that_changes_is_in_it(options, more, tmp_path):
    run, checkpoint = saved(tmp_path / "c.safetensors", **options)
    tensors, parameters = checkpoint.tensors, dict(run.denoiser.named_parameters())
    assert {name.split("/")[0] for name in tensors} == more | {
        "weights", "ema", "exp_avg", "exp_avg_sq", "streams", "losses", "step"
    }  # fmt: skip
    for name, value in run.denoiser.state_dict().items():
        assert torch.equal(tensors[f"weights/{name}"], value)
        assert torch.equal(tensors[f"ema/{name}"], run.ema.module.state_dict()[name])
    for name, parameter in parameters.items():
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(tensors[f"{moment}/{name}"], run.optimizer.state[parameter][moment])
            assert tensors[f"{moment}/{name}"].abs().sum() > 0
    assert int(tensors["step"]) == 70
    assert {name for name in tensors if name.startswith("streams/")} == {
        "streams/data",
        "streams/noise",
        "streams/used",
    }
    assert tensors["losses"].dtype == torch.float64
    # whatever it holds, a run put back to it does what this one does
    other = prepare(fresh(), RING, steps=90, batch=16, device="cpu", resume=checkpoint, **options)
    for _ in range(20):
        for each in (run, other):
            each.descend(each.loss())
    one, two = run.state(), other.state()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_what_it_says_of_the_run_is_all_there_is_to_say(tmp_path):
    options = {"lr": 1e-3, "decay": "cosine", "warmup": 7, "ema": 0.99, "clip_gradient": 2.0, "weighting": "min-snr"}
    _, checkpoint = saved(tmp_path / "c.safetensors", **options)
    with safetensors.safe_open(tmp_path / "c.safetensors", "pt") as file:
        header = file.metadata()
    assert set(header) == {"difflab", "config", "versions"}
    assert json.loads(header["difflab"]) == {"what": "checkpoint", "format": 2}
    assert checkpoint.versions == {
        "difflab": difflab.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    assert set(checkpoint.config) == {"denoiser", "training", "data"}
    settings = json.loads(json.dumps(asdict(Settings(batch=16, **options))))
    said = checkpoint.config["training"]
    assert {key: said[key] for key in settings} == settings  # the learning rate's schedule is these, and the step
    assert (said["steps"], said["conditional"]) == (70, False)
    assert checkpoint.config["denoiser"]["schedule"] == VPCosine().to_dict()
    assert checkpoint.config["denoiser"]["network"]["options"]["width"] == 16
    data = checkpoint.config["data"]
    assert (data["name"], data["shape"], data["fingerprint"]) == (RING.name, [2], fingerprint(RING))


def test_an_older_format_can_be_sampled_and_not_resumed(trained, rewritten):
    path = rewritten(trained[1], lambda tensors: tensors.pop("losses"), difflab='{"what": "checkpoint", "format": 1}')
    old = load(path)
    assert old.format == 1
    x = torch.randn(5, 2)
    assert torch.equal(old.denoiser(x, 0.5).mean, trained[0].ema.module(x, 0.5).mean)
    with pytest.raises(
        CheckpointError, match=r"^This checkpoint is of format 1, whose random streams .* its run cannot be resumed\.$"
    ):
        prepare(fresh(), RING, steps=5, resume=path, device="cpu")


def calls(tree):
    """Every name that a module calls or imports, with dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def opens_pickles(name, node):
    parts = name.split(".")
    if parts[0] in ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve"):
        return True
    if name in ("torch.load", "torch.save", "torch.hub.load", "pandas.read_pickle"):
        return True
    if parts[-1] in ("broadcast_object_list", "all_gather_object", "gather_object", "scatter_object_list"):
        return True  # torch.distributed's ways to send anything
    if name in ("np.load", "numpy.load", "np.lib.format.read_array"):
        safe = {k.arg: ast.unparse(k.value) for k in node.keywords} if isinstance(node, ast.Call) else {}
        return safe.get("allow_pickle") != "False"
    return False


def test_no_module_opens_a_pickle():
    found = {}
    for path in sorted(HOUSE.rglob("*.py")):
        for name, node in calls(ast.parse(path.read_text(encoding="utf-8"))):
            if opens_pickles(name, node):
                found.setdefault(str(path.relative_to(HOUSE)), []).append(f"{name}:{node.lineno}")
    assert found.keys() <= BETWEEN_PROCESSES, found


@pytest.mark.parametrize(
    ("code", "opens"),
    [
        ("torch.load(path)", True),
        ("from pickle import load", True),
        ("np.load(path)", True),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("dist.broadcast_object_list(x)", True),
        ("safetensors.torch.load(content)", False),
        ("json.load(file)", False),
    ],
)
def test_that_check_can_fail(code, opens):
    assert any(opens_pickles(*call) for call in calls(ast.parse(code))) == opens


def test_no_pickle_is_touched_from_the_first_step_to_a_resumed_one(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a pickle was opened or written")

    train(fresh(), RING, steps=1, batch=16, device="cpu").close()  # what torch imports then may do as it likes
    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, refuse)
    for steps in (12, 20):
        trainer = Trainer(
            fresh(),
            RING,
            steps=steps,
            batch=16,
            device="cpu",
            folder=tmp_path,
            save_every=5,
            resume=True,
            averages=(0.1,),
        )
        trainer.start()
        assert trainer.wait(60) == "finished"
    assert load(tmp_path / "checkpoint.safetensors").step == 20
