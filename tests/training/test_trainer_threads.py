"""The trainer among threads: whoever asks, from wherever, sees the run between two steps."""

import signal
import subprocess
import sys
import threading

import pytest
import torch


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_all_calls_may_come_from_other_threads(make, until):
    trainer = make()
    trainer.start()
    until(lambda: trainer.step > 0)
    failures = []

    def fiddle(seed):
        try:
            for i in range(30):
                (trainer.pause, trainer.resume, trainer.snapshot, trainer.curve)[(i + seed) % 4]()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=fiddle, args=(s,)) for s in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not failures
    trainer.resume()
    step = trainer.step
    until(lambda: trainer.step > step)


def test_a_snapshot_is_of_one_moment(make):
    """Whatever is asked for by three threads while training goes on is exactly the average after some step."""
    history = {}

    def keep(state):
        history[state.step] = flat(state.run.ema.module)

    trainer = make(on_step=keep)
    history[0] = flat(trainer.snapshot())
    trainer.start()
    taken, lock = [], threading.Lock()

    def take():
        for _ in range(15):
            before = trainer.step
            copy = flat(trainer.snapshot())
            with lock:
                taken.append((before, copy))

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    trainer.stop()
    assert len(taken) == 45
    for before, copy in taken:
        at = [step for step, weights in history.items() if torch.equal(weights, copy)]
        assert len(at) == 1
        assert at[0] >= before  # never older than the step at which it was asked for


def test_a_snapshot_does_not_change_later(make, until):
    trainer = make()
    trainer.start()
    until(lambda: trainer.step > 3)
    snapshot = trainer.snapshot()
    weights, step = flat(snapshot).clone(), trainer.step
    until(lambda: trainer.step > step + 20)
    assert torch.equal(flat(snapshot), weights)
    assert not torch.equal(flat(trainer.snapshot()), weights)
    snapshot(torch.zeros(4, 2), 0.5)  # evaluated here while the thread trains


def test_a_step_that_takes_too_long_is_a_timeout(make, until):
    release = threading.Event()
    trainer = make(on_step=lambda state: release.wait(20))
    trainer.start()
    until(lambda: trainer.step > 0)
    with pytest.raises(TimeoutError, match=r"longer than 0\.05 seconds"):
        trainer.snapshot(timeout=0.05)
    release.set()
    trainer.snapshot()


def test_an_interrupt_ends_the_waiting_not_the_training(make, until):
    trainer = make()
    trainer.start()
    main = threading.main_thread().ident
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        trainer.wait()
    step = trainer.step
    assert trainer.state == "running"
    until(lambda: trainer.step > step + 3)


def test_training_uses_one_torch_thread_and_leaves_the_others_alone(make):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []
        trainer = make(steps=3, on_step=lambda state: seen.append(torch.get_num_threads()))
        trainer.start()
        trainer.wait(20)
        assert seen == [1, 1, 1]
        assert torch.get_num_threads() == 2
        own = make(steps=1, threads=None, on_step=lambda state: seen.append(torch.get_num_threads()))
        own.start()
        own.wait(20)
        assert seen[-1] == 2
    finally:
        torch.set_num_threads(before)


def test_a_forgotten_trainer_does_not_keep_python_alive():
    code = (
        "from difflab.data import GaussianMixture as G; from difflab.denoisers import NetworkDenoiser as N;"
        "from difflab.schedules import VPCosine; from difflab.training import Trainer; import time;"
        "d = G.ring(); t = Trainer(N.for_data(d, VPCosine()), d, steps=10**8); t.start(); time.sleep(0.3); print(t.state)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (0, "running", "")
