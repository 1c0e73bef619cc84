"""A minute of training on one core, judged by a classifier: see benchmarks/digits.py."""

import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "digits.py"
    spec = importlib.util.spec_from_file_location("benchmarks_digits", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sixty_cpu_seconds_give_digits_that_a_classifier_calls_right(benchmark):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        judge = benchmark.Judge()
        assert judge.held_out > 0.98
        denoiser, steps, seconds = benchmark.trained(60)
        assert seconds < 63
        x, labels = benchmark.drawn(denoiser)
    finally:
        torch.set_num_threads(before)
    assert labels.bincount().tolist() == [20] * 10
    agreement = judge.agreement(x, labels)
    print(f"{steps} steps in {seconds:.1f} CPU-seconds: {100 * agreement:.1f} % of 200 called right")
    assert agreement >= 0.9
    # not one picture over and over: the samples of a class differ about as much as real digits of a class do
    data = benchmark.digits()
    for label in range(10):
        real = torch.from_numpy(data.x[data.labels == label]).flatten(1)
        drawn = x[labels == label].flatten(1)
        assert torch.pdist(drawn).mean() > 0.7 * torch.pdist(real).mean()
