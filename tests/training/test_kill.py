"""`kill -9`, fifty times in one run, at random moments and in the middle of writing: it ends as an unbroken run does, to the bit.

One process imports torch and forks a child for every attempt: a child is killed, by its parent after a random time or by
itself at a random call of the operating system within the saving of a checkpoint, and the next one goes on from what it left.
"""

import json
import subprocess
import sys

import pytest

from difflab.training.metrics_file import read

STEPS, KILLS = 1500, 50
SCRIPT = r"""
import itertools, json, os, random, signal, sys, time, warnings
from pathlib import Path
import torch
import torch._dynamo  # what optimisers import when the first one is made
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import load, train
from difflab.training.atomic import UNFINISHED

torch.set_num_threads(1)
warnings.simplefilter("error")  # a checkpoint that cannot be read would be warned of
here, steps, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(0)

def training(folder, begun):
    data = GaussianMixture.ring()
    states = train(
        NetworkDenoiser.for_data(data, VPCosine(), width=16), data, steps=steps, batch=16, device="cpu",
        generator=torch.Generator().manual_seed(7), folder=folder, save_every=15, keep=3, resume=True,
    )
    assert not list(folder.glob(f".*{UNFINISHED}")), "what a killed writer left was not removed"
    os.write(begun, b"!")
    for _ in states:
        pass

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(name, countdown, before):
    # the countdown-th call of this function of the operating system is the last thing that the process does
    real, calls = getattr(os, name), itertools.count(1)
    def call(*args, **options):
        last = next(calls) == countdown
        if last and before:
            die()
        try:
            return real(*args, **options)
        finally:
            if last:
                die()
    setattr(os, name, call)

def dying_within_a_write(countdown, share):
    # ... after a part of the content has been written
    import builtins
    real, calls = builtins.open, itertools.count(1)
    def opened(path, mode="r", *args, **options):
        file = real(path, mode, *args, **options)
        if mode != "xb" or next(calls) != countdown:
            return file
        class Half:
            def __enter__(self): return self
            def __exit__(self, *_): pass
            def writelines(self, parts): self.write(b"".join(parts))
            def write(self, content):
                file.write(content[: int(share * len(content))])
                file.flush()
                die()
        return Half()
    builtins.open = opened

def attempt(folder, prepare=None, after=None, early=False):
    hear, begun = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if prepare is not None:
                prepare()
            training(folder, begun)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    os.close(begun)
    if after is not None:
        if not early:
            os.read(hear, 1)  # it is at its first step
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    os.close(hear)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

start = time.monotonic()
assert attempt(here / "unbroken") == 0
spent = time.monotonic() - start

folder, killed, newest, where = here / "broken", 0, 0, {}
while killed < kills:
    what = chance.choice(["time"] * 5 + ["early", "fsync", "replace", "link", "unlink", "write"])
    at = chance.randint(1, 4)
    if what == "time":  # by the time that a whole run takes, so that the kills are spread over all of it
        code = attempt(folder, after=chance.uniform(0.0, 2.0 * spent / kills))
    elif what == "early":  # while it takes up what is there
        code = attempt(folder, after=chance.uniform(0.0, 0.1), early=True)
    elif what == "write":
        share = chance.random()
        code = attempt(folder, prepare=lambda: dying_within_a_write(at, share))
    else:
        before = chance.random() < 0.5
        code = attempt(folder, prepare=lambda: dying(what, at, before))
    if code == 0:  # it ended before its moment came
        break
    assert code == -signal.SIGKILL, code
    killed += 1
    where[what] = where.get(what, 0) + 1
    steps_there = []
    for path in folder.glob("checkpoint*.safetensors"):  # every one of them can be read
        steps_there.append(load(path).step)
        if path.name != "checkpoint.safetensors":
            assert path.name == f"checkpoint-{steps_there[-1]:09d}.safetensors"
    now = max(steps_there, default=0)
    assert now >= newest, "something already saved was lost"
    assert not steps_there or load(folder / "checkpoint.safetensors").step == now
    newest = now
reached = newest
assert attempt(folder) == 0
one, other = (load(here / name / "checkpoint.safetensors") for name in ("unbroken", "broken"))
same = one.tensors.keys() == other.tensors.keys() and all(
    torch.equal(one.tensors[k], other.tensors[k]) for k in one.tensors
)
print(json.dumps({"killed": killed, "where": where, "reached": reached, "same": same, "steps": [one.step, other.step]}))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="children are forked, which Windows cannot")
def test_a_run_that_was_killed_fifty_times_is_the_unbroken_one_to_the_bit(tmp_path):
    (tmp_path / "kills.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "kills.py", tmp_path, str(STEPS), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["killed"] == KILLS
    assert set(told["where"]) == {"time", "early", "fsync", "replace", "link", "unlink", "write"}, told
    assert told["steps"] == [STEPS, STEPS]
    assert told["same"]
    for name in ("unbroken", "broken"):
        assert len(list((tmp_path / name).glob("checkpoint-*.safetensors"))) == 3
        assert not list((tmp_path / name).glob(".*"))
    one, other = (
        [(row["step"], row["loss"], row["learning_rate"]) for row in read(tmp_path / name / "metrics.csv")]
        for name in ("unbroken", "broken")
    )
    assert one == other
    assert len(one) == STEPS // 50
