import threading

import pytest
import torch

from difflab.training.threads import limit_torch_threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def inside(function):
    """What `function` returns in a thread of its own."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


@pytest.mark.usefixtures("two_threads")
def test_only_the_calling_thread_is_limited():
    def limited():
        limit_torch_threads(1)
        return torch.get_num_threads()

    assert inside(limited) == 1
    assert torch.get_num_threads() == 2  # the thread that was here before
    assert inside(torch.get_num_threads) == 2  # and one that comes later


@pytest.mark.usefixtures("two_threads")
def test_the_limit_stays_while_others_compute():
    here, go = threading.Event(), threading.Event()
    seen = []

    def limited():
        limit_torch_threads(1)
        here.set()
        go.wait(10)
        torch.randn(300, 300) @ torch.randn(300, 300)
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=limited)
    thread.start()
    here.wait(10)
    torch.randn(300, 300) @ torch.randn(300, 300)
    go.set()
    thread.join()
    assert seen == [1]
    assert torch.get_num_threads() == 2
