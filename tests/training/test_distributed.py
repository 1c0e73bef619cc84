"""Two processes beside one: the same curve, the same checkpoint, the same end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from processes import raised, rank, together
from safetensors import safe_open
from torch import Tensor, nn

from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Settings, Trainer, fit, load, metrics, train
from difflab.training import loop as training_loop
from difflab.training.distributed import World
from difflab.training.folder import Folder
from difflab.training.sharing import here

STEPS, BATCH = 30, 48
# Rows are summed in two halves instead of at once, so that losses and gradients differ in their last bits, 2^-24 of their
# size. AdamW divides a gradient by its size: an error of 2^-24 in it is one of 2^-24 of the rate, 2e-3, in the weights, and they
# add up over the steps, to 20 * 2e-3 * 6e-8 = 2e-9; to more where a gradient is small beside the terms that it is the sum of, by
# 10^3 where it still counts: 2e-6. Weights are of size 0.1, and a loss of size 1 changes by no more than they do.
CURVE, WEIGHTS = 1e-5, {"rtol": 1e-4, "atol": 1e-5}


def images(out: Path, name: str, steps: int = STEPS, **options) -> None:
    """Classes, label dropout, dropout, clipping and three averages, trained in out/<name>; the losses beside it."""
    data = digits()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), conditional=True, width=16, dropout=0.1)
    options = {"clip_gradient": 0.3, "averages": (0.05, 0.1), "batch": BATCH, "decay": "constant"} | options
    trained(out, name, denoiser, data, steps, **options)


def points(out: Path, name: str, steps: int = STEPS, **options) -> None:
    """Times that learn and a weighting that does; a density, drawn as it goes."""
    data = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=16)
    options = {"weighting": "uncertainty", "times": "loss", "batch": 512} | options
    trained(out, name, denoiser, data, steps, **options)


def trained(out, name, denoiser, data, steps, **options) -> None:
    generator = torch.Generator().manual_seed(7 + rank())  # the first process' is the one that counts
    states = train(
        denoiser, data, steps=steps, generator=generator, device="cpu", folder=out / name, resume=True, **options
    )
    losses = [float(state.loss) for state in states]
    (out / f"{name}-{rank()}.json").write_text(json.dumps(losses))


def several(out: Path, what, *runs) -> None:
    """One run after another: (name, options)."""
    for name, options in runs:
        what(out, name, **options)


def losses(out: Path, name: str, rank: int = 0) -> Tensor:
    return torch.tensor(json.loads((out / f"{name}-{rank}.json").read_text()), dtype=torch.float64)


def written(out: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(out / name / "checkpoint.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def assert_same_run(out: Path, one: str, other: str, **tolerance) -> None:
    """The checkpoints have the same tensors, to rounding, and the same streams, counts and description, to the bit."""
    (mine, says), (its, tells) = written(out, one), written(out, other)
    assert {k: (v.shape, v.dtype) for k, v in mine.items()} == {k: (v.shape, v.dtype) for k, v in its.items()}
    assert says == tells
    for key, value in mine.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, its[key], **tolerance or WEIGHTS, msg=lambda m, key=key: f"{key}: {m}")
        else:
            assert torch.equal(value, its[key]), key
    assert any(key.startswith("streams/") for key in mine)


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Directory of runs of `images` and `points` on one process and on two, and of two under fsdp."""
    out = tmp_path_factory.mktemp("curves")
    alone = [("one", {}), ("one again", {"steps": 20})]
    both = [("two", {}), ("parts", {"parallel": "fsdp"}), ("two again", {"steps": 10})]
    assert together(several, out, images, *alone, size=1) == [0]
    assert together(several, out, images, *both) == [0, 0]
    return out


def test_two_processes_have_the_curve_of_one(curves):
    one, two = losses(curves, "one"), losses(curves, "two")
    assert len(one) == STEPS
    assert torch.equal(two, losses(curves, "two", rank=1))  # all of them see the mean over all rows
    torch.testing.assert_close(two, one, rtol=CURVE, atol=0)
    assert one.diff().abs().min() > 100 * CURVE * one.max() / STEPS  # no two steps of the curve are that close


def test_the_checkpoint_does_not_know_how_many_there_were(curves):
    assert_same_run(curves, "one", "two")


@pytest.mark.parametrize("name", ["two", "parts"])
def test_the_table_of_metrics_is_that_of_one_process(curves, name):
    one, other = metrics(curves / "one"), metrics(curves / name)
    assert one["step"].tolist() == other["step"].tolist() == [STEPS]
    assert other["loss"][0] == pytest.approx(one["loss"][0], rel=CURVE)
    # of the whole gradient; it follows the weights, whose differences add up, more closely than a mean over steps does
    assert other["gradient_norm"][0] == pytest.approx(one["gradient_norm"][0], rel=10 * CURVE)
    assert other["learning_rate"][0] == one["learning_rate"][0]


def test_weights_in_parts_make_the_same_run(curves):
    torch.testing.assert_close(losses(curves, "parts"), losses(curves, "two"), rtol=CURVE, atol=0)
    parts, two = written(curves, "parts"), written(curves, "two")
    config = json.loads(parts[1]["config"])
    assert config["training"].pop("parallel") == "fsdp"
    whole = json.loads(two[1]["config"])
    whole["training"].pop("parallel")
    assert config == whole
    for key, value in two[0].items():
        torch.testing.assert_close(parts[0][key], value, **WEIGHTS)


def test_a_run_goes_on_with_any_number_of_processes(curves):
    # 10 steps on two, to 20 on one, to the end on two whose weights lie in parts, then held to the unbroken run
    (curves / "two again").rename(curves / "moved")
    assert together(several, curves, images, ("moved", {"steps": 20}), size=1) == [0]
    assert together(several, curves, images, ("moved", {"parallel": "fsdp"})) == [0, 0]
    assert len(losses(curves, "moved")) == STEPS - 20
    mine, its = written(curves, "moved")[0], written(curves, "one")[0]
    for key, value in its.items():
        torch.testing.assert_close(mine[key], value, **WEIGHTS, msg=lambda m, key=key: f"{key}: {m}")
        if key.startswith("streams/"):
            assert torch.equal(mine[key], value)


def test_times_and_weightings_that_learn_learn_from_all_rows(tmp_path):
    assert together(several, tmp_path, points, ("one", {}), size=1) == [0]
    both = [("two", {}), ("parts", {"parallel": "fsdp"})]
    assert together(several, tmp_path, points, *both) == [0, 0]
    for name in ("two", "parts"):
        torch.testing.assert_close(losses(tmp_path, name), losses(tmp_path, "one"), rtol=CURVE, atol=CURVE)
        mine, its = written(tmp_path, name)[0], written(tmp_path, "one")[0]
        assert mine.keys() == its.keys()
        assert int(its["objective/times/counts"].sum()) == STEPS * 512
        for key, value in its.items():
            torch.testing.assert_close(mine[key], value, **WEIGHTS, msg=lambda m, key=key: f"{key}: {m}")


class Idle(nn.Module):
    """A network of which a layer takes no part."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(rank())  # the first process' weights are the ones that count
        self.first, self.idle, self.last = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.last(torch.tanh(self.first(torch.cat([x, level.expand(len(x))[:, None]], dim=1))))


def own(out: Path, name: str, **options) -> None:
    trained(out, name, NetworkDenoiser(Idle(), VPCosine(), "v"), GaussianMixture.ring(), 10, batch=32, **options)


def test_a_network_of_one_s_own_of_which_a_part_is_idle(tmp_path):
    assert together(several, tmp_path, own, ("one", {"weight_decay": 0.1}), size=1) == [0]
    both = [("two", {"weight_decay": 0.1}), ("parts", {"weight_decay": 0.1, "parallel": "fsdp"})]
    assert together(several, tmp_path, own, *both) == [0, 0]
    its = written(tmp_path, "one")[0]
    torch.manual_seed(0)
    assert torch.equal(its["weights/network.idle.weight"], Idle().idle.weight)  # without gradients there is no decay
    for name in ("two", "parts"):
        for key, value in written(tmp_path, name)[0].items():
            torch.testing.assert_close(value, its[key], **WEIGHTS, msg=lambda m, key=key: f"{key}: {m}")
        assert torch.equal(
            written(tmp_path, name)[0]["weights/network.idle.weight"], its["weights/network.idle.weight"]
        )


def stopped(out: Path) -> None:
    """The second process stops at step 7 of its own accord; the first one learns of it."""
    data = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=16)
    trainer: Trainer
    trainer = Trainer(
        denoiser,
        data,
        steps=10_000,
        batch=16,
        folder=out / "run",
        device="cpu",
        on_step=lambda state: trainer.stop() if state.step == 7 and rank() == 1 else None,
    )
    trainer.start()
    assert trainer.wait(30) == "stopped", trainer.error
    (out / f"step-{rank()}").write_text(str(trainer.step))


def test_where_one_process_stops_all_do_after_the_same_step(tmp_path):
    assert together(stopped, tmp_path) == [0, 0]
    assert [(tmp_path / f"step-{r}").read_text() for r in (0, 1)] == ["8", "8"]
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 8


def interrupted(out: Path) -> None:
    """A script in which Ctrl-C reaches the second process alone."""
    data = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=16)
    before = training_loop.Run._own_loss

    def loss(run, batch, labels):
        if run.step == 7 and rank() == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return before(run, batch, labels)

    training_loop.Run._own_loss = loss
    fit(denoiser, data, steps=10_000, batch=16, folder=out / "run", device="cpu", progress=False)


def test_an_interrupt_of_one_script_ends_all_after_the_same_step(tmp_path):
    assert together(interrupted, tmp_path) == [1, 1]
    sentence = "TrainingInterrupted: Training was interrupted after step 9 of 10000: "
    assert raised(tmp_path, 0) == raised(tmp_path, 1)
    assert raised(tmp_path, 0).startswith(sentence)
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 9


def diverging(out: Path, parallel: str) -> None:
    """Rows of nan, but for the first process' half of the batch."""
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)).numpy()
    data = FiniteSet(x, name="points")
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=16)
    before = training_loop.Run._own_loss

    def loss(run, batch, labels):
        value = before(run, batch, labels)
        return value * float("nan") if run.step == 5 and rank() == 1 else value

    training_loop.Run._own_loss = loss
    first = {name: value.clone() for name, value in denoiser.state_dict().items()}
    try:
        list(
            train(denoiser, data, steps=50, batch=16, folder=out / "run", device="cpu", save_every=3, parallel=parallel)
        )
    finally:
        for name, value in denoiser.state_dict().items():
            part = here(value)  # the connection is gone: this process' rows of it
            rows = torch.tensor_split(first[name], 2)[rank()] if len(part) < len(first[name]) else first[name]
            assert torch.equal(part, rows)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_loss_that_one_process_cannot_compute_ends_all_with_one_sentence(tmp_path, parallel):
    assert together(diverging, tmp_path, parallel) == [1, 1]
    assert raised(tmp_path, 0) == raised(tmp_path, 1)
    assert raised(tmp_path, 0).startswith("TrainingDiverged: Training diverged: the loss was not finite at step 6;")
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 0  # the last good copy is that of the beginning


def failing(out: Path, how: str, parallel: str) -> None:
    """The second process fails in its sixth step."""
    data = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=16)
    before = training_loop.Run._own_loss

    def loss(run, batch, labels):
        if run.step == 5 and rank() == 1:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("the second process is out of luck")
        return before(run, batch, labels)

    training_loop.Run._own_loss = loss
    options = {"batch": 16, "folder": out / "run", "device": "cpu", "save_every": 3, "parallel": parallel}
    try:
        list(train(denoiser, data, steps=50, generator=torch.Generator().manual_seed(0), **options))
    finally:
        (out / f"ended-{rank()}").write_text(str(time.time()))
        if how == "caught" and rank() == 1:
            time.sleep(5)  # a process that fails, but lives on


@pytest.mark.parametrize("how", ["killed", "raised", "caught"])
def test_one_that_fails_ends_all_with_one_sentence_and_a_whole_checkpoint(tmp_path, how):
    codes = together(failing, tmp_path, how, "ddp")
    assert codes == [1, -signal.SIGKILL if how == "killed" else 1]
    said = raised(tmp_path, 0)
    if how == "killed":
        assert said == "ProcessLost: Another of the 2 processes that train together ended."
    else:
        assert said == "ProcessLost: the second process is out of luck"
        assert raised(tmp_path, 1) == "RuntimeError: the second process is out of luck"
        ended = [float((tmp_path / f"ended-{r}").read_text()) for r in (0, 1)]
        assert ended[0] - ended[1] < 4  # nobody waits for one that does not answer
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 5  # the first has all of it: nothing is lost


def test_in_parts_the_last_checkpoint_stays(tmp_path):
    assert together(failing, tmp_path, "killed", "fsdp") == [1, -signal.SIGKILL]
    assert raised(tmp_path, 0) == "ProcessLost: Another of the 2 processes that train together ended."
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 3  # of step 5 half is gone


def refused(out: Path, folder: str, options: dict) -> None:
    data = GaussianMixture.ring()
    (out / "file").write_text("")
    options = {"batch": 16} | {k: v[rank()] if isinstance(v, list) else v for k, v in options.items()}
    train(NetworkDenoiser.for_data(data, VPCosine(), width=8), data, steps=5, folder=out / folder, **options)


@pytest.mark.parametrize(
    ("folder", "options", "sentences"),
    [
        (
            "run",
            {"batch": 15},
            ["ValueError: batch must be a multiple of 2, the number of processes that train together, but got 15."] * 2,
        ),
        (
            "run",
            {"lr": [1e-3, 2e-3]},
            [
                "ValueError: The 2 processes that train together must have the same denoiser, data and settings, but they"
                " differ."
            ]
            * 2,
        ),
        ("file/run", {}, ["FolderError: Nothing can be written into", "ProcessLost: Nothing can be written into"]),
        ("run", {"parallel": "both"}, ["ValueError: parallel must be one of ddp, fsdp, but got 'both'."] * 2),
        (
            "run",
            {"parallel": "fsdp", "compile": True},
            ["ValueError: compile must be False where several processes train with parallel 'fsdp', but got True."] * 2,
        ),
    ],
)
def test_bad_input_is_refused_by_all_in_one_sentence(tmp_path, folder, options, sentences):
    assert together(refused, tmp_path, folder, options) == [1, 1]
    for r, sentence in enumerate(sentences):
        assert raised(tmp_path, r).startswith(sentence)
        assert raised(tmp_path, r).count("\n") == 0
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def full_disk(out: Path) -> None:
    before = Folder.save

    def save(folder, run, state=None):
        if run.step == 6:
            folder.checkpoint.with_name("full").write_text("")
            raise OSError(28, "No space left on device")
        before(folder, run, state)

    Folder.save = save
    data = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=8)
    list(train(denoiser, data, steps=50, batch=16, folder=out / "run", device="cpu", save_every=3))


def test_what_the_first_cannot_write_all_hear_of(tmp_path):
    assert together(full_disk, tmp_path) == [1, 1]
    assert raised(tmp_path, 0).startswith("OSError: [Errno 28] No space left on device")
    assert raised(tmp_path, 1) == "ProcessLost: [Errno 28] No space left on device"
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 3


def told(out: Path) -> None:
    """What a world does, by itself."""
    world = World.found()
    assert (world.rank, world.size, world.is_first) == (rank(), 2, rank() == 0)
    assert world.rows(6) == slice(3 * rank(), 3 * rank() + 3)
    rows = torch.arange(6.0).reshape(3, 2)[:, :1] + 10 * rank()  # not contiguous
    assert world.gathered(rows).tolist() == [[0], [2], [4], [10], [12], [14]]
    loss = torch.tensor(1.0 + 2 * rank(), requires_grad=True)
    world.ending = rank() == 1
    mean = world.mean(loss)
    mean.backward()
    assert (float(mean), float(loss.grad), world.all_end()) == (2.0, 1.0, True)
    assert world.first(lambda: "done") == ("done" if rank() == 0 else None)
    world.check_same("text", "text")
    again = World.found()
    assert again.group is not world.group  # each run has a connection of its own
    again.check_same(
        "both", "are there"
    )  # or the first, which holds the store, may leave while the other still connects


def test_a_world_of_two(tmp_path):
    codes = together(told, tmp_path)
    assert codes == [0, 0], [path.read_text() for path in sorted(tmp_path.glob("raised-*"))]


def test_alone_nothing_is_asked_of_anybody():
    world, loss = World.found(), torch.tensor(2.0)
    assert (world.rank, world.size, world.group) == (0, 1, None)
    assert world.rows(7) == slice(None)
    assert world.mean(loss) is loss
    assert world.gathered(loss) is loss
    assert not world.all_end()
    error = ValueError("no")
    assert world.ended_by(error) is error
    assert not world.broken


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but MASTER_ADDR is not set: start the processes with"),
        (
            {"RANK": "0", "WORLD_SIZE": "two"},
            "WORLD_SIZE, which the launcher sets, must be a whole number, but is 'two'.",
        ),
        (
            {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
            "RANK must be a whole number from 0 to 1, as WORLD_SIZE is 2, but got 2.",
        ),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(monkeypatch, told, sentence):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=sentence):
        World.found()


@pytest.mark.parametrize("told", [{"WORLD_SIZE": "4"}, {"RANK": "3"}, {"RANK": "0", "WORLD_SIZE": "1"}])
def test_half_an_environment_is_none(monkeypatch, told):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert World.found().size == 1


def test_devices_of_several_processes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    world = World(1, 2, local_rank=1)
    assert world.device(torch.device("cpu")) == torch.device("cpu")
    assert world.device(torch.device("cuda")) == torch.device("cuda", 1)
    assert taken == [1]
    with pytest.raises(ValueError, match="on cpu or cuda, but device is 'mps'"):
        world.device(torch.device("mps"))
    with pytest.raises(
        ValueError, match="device must be 'cuda' where each process has a GPU of its own, but got 'cuda:1'"
    ):
        world.device(torch.device("cuda:1"))
    with pytest.raises(ValueError, match="device 'cuda' must have a GPU for each process, but process 2 finds 2"):
        World(2, 3, local_rank=2).device(torch.device("cuda"))


def test_parallel_is_checked():
    with pytest.raises(ValueError, match="parallel must be one of ddp, fsdp, but got 'fdsp'"):
        Settings(parallel="fdsp")
