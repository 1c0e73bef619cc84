"""Other libraries' training loops, as `training.py` runs them beside ours: each does so many steps on the same points.

The network is our MLP wherever a library takes any, so that only the loops differ; tiny-diffusion is a script with a network
of its own, and its loop is written here in its shape.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azula.denoise
import azula.noise
import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset
from tqdm import tqdm
from training import Side

from difflab.networks import MLP

LR = 1e-3
CHAIN = 1000  # DDPM's steps
EPOCHS = 10**6


class Rows(Dataset[Tensor]):
    """Points one by one, as a data set of a library's examples gives them."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        return self.x[index]


class Whole(Dataset[Tensor]):
    """Ready batches: what a loop that takes no tensor may be fed best."""

    def __init__(self, x: Tensor, batch: int) -> None:
        self.x, self.batch = x, batch

    def __len__(self) -> int:
        return EPOCHS

    def __getitem__(self, _: int) -> Tensor:
        return self.x[torch.randint(len(self.x), (self.batch,))]


class Timed(nn.Module):
    """Our MLP, told a whole number of a chain's step."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MLP((2,))

    def forward(self, x: Tensor, k: Tensor) -> Tensor:
        return self.network(x, k / CHAIN)


def diffusers_plain(batch: int, x: Tensor) -> Side:
    """The loop of diffusers' introductions: `add_noise`, the loss, AdamW as it comes; the points lie in memory."""
    model, scheduler = Timed(), DDPMScheduler(CHAIN)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)

    def run(steps: int) -> None:
        for _ in range(steps):
            x0 = x[torch.randint(len(x), (batch,))]
            noise = torch.randn(x0.shape)
            k = torch.randint(0, CHAIN, (batch,))
            loss = F.mse_loss(model(scheduler.add_noise(x0, noise, k), k), noise)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def diffusers_full(batch: int, x: Tensor) -> Side:
    """The loop of diffusers' training script: DataLoader, Accelerator, clipping, a learning-rate schedule, EMA, a bar."""
    accelerator = Accelerator(cpu=True)
    model, scheduler = Timed(), DDPMScheduler(CHAIN)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.95, 0.999), weight_decay=1e-6)
    rate = get_cosine_schedule_with_warmup(optimizer, 500, EPOCHS)
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True, drop_last=True)
    model, optimizer, loader, rate = accelerator.prepare(model, optimizer, loader, rate)
    average = EMAModel(model.parameters(), use_ema_warmup=True, power=0.75)

    def steps_() -> Iterator[None]:
        bar = tqdm(disable=None, file=_Nowhere())
        while True:
            for (x0,) in loader:
                noise = torch.randn(x0.shape)
                k = torch.randint(0, CHAIN, (len(x0),))
                noisy = scheduler.add_noise(x0, noise, k)
                with accelerator.accumulate(model):
                    loss = F.mse_loss(model(noisy, k), noise)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    rate.step()
                    optimizer.zero_grad()
                if accelerator.sync_gradients:
                    average.step(model.parameters())
                    bar.update(1)
                bar.set_postfix(loss=loss.detach().item(), lr=rate.get_last_lr()[0], refresh=False)
                yield

    return _driven(steps_())


class _Nowhere:
    """Where a bar is written to that nobody watches."""

    def write(self, _: str) -> None: ...

    def flush(self) -> None: ...


def smalldiffusion(batch: int, x: Tensor, loader: DataLoader[Tensor]) -> Side:
    """Its `training_loop`; `loader` feeds it."""
    small = _part_of_smalldiffusion()

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = MLP((2,))

        def forward(self, x: Tensor, sigma: Tensor, cond: Any = None) -> Tensor:
            return self.network(x, sigma.flatten().log())

        def get_loss(self, x0: Tensor, sigma: Tensor, eps: Tensor, cond: Any = None) -> Tensor:
            return nn.MSELoss()(eps, self(x0 + sigma * eps, sigma, cond=cond))

    schedule = small.ScheduleLogLinear(CHAIN, 0.005, 10)
    small.tqdm = lambda epochs: tqdm(epochs, file=_Nowhere())
    steps = small.training_loop(loader, Model(), schedule, Accelerator(cpu=True), epochs=EPOCHS, lr=LR)
    return _driven(steps)


def _part_of_smalldiffusion() -> Any:
    """Its module of loops alone: the package as a whole imports torchvision."""
    spec = importlib.util.find_spec("smalldiffusion")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError('smalldiffusion is not installed: pip install -e ".[benchmarks]"')
    path = Path(spec.submodule_search_locations[0]) / "diffusion.py"
    alone = importlib.util.spec_from_file_location("smalldiffusion_diffusion", path)
    assert alone is not None
    assert alone.loader is not None
    module = importlib.util.module_from_spec(alone)
    sys.modules[alone.name] = module
    alone.loader.exec_module(module)
    return module


class _Waves(nn.Module):
    """A number as 64 sines and 64 cosines, after Vaswani et al. 2017."""

    rates: Tensor

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.register_buffer("rates", torch.exp(-math.log(10_000) * torch.arange(64) / 63) * scale)

    def forward(self, x: Tensor) -> Tensor:
        angles = x[:, None] * self.rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.gelu(self.layer(x))


class _Tiny(nn.Module):
    """tiny-diffusion's network: waves of both coordinates and of the time, 384 numbers, then four layers of 128."""

    def __init__(self) -> None:
        super().__init__()
        self.coordinates, self.time = _Waves(25.0), _Waves(1.0)
        layers = [nn.Linear(3 * 128, 128), nn.GELU(), *(_Residual(128) for _ in range(3)), nn.Linear(128, 2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, k: Tensor) -> Tensor:
        codes = [self.coordinates(x[:, 0]), self.coordinates(x[:, 1]), self.time(k)]
        return self.layers(torch.cat(codes, dim=1))


def tiny_diffusion(batch: int, x: Tensor) -> Side:
    """tiny-diffusion's training: a DataLoader of rows, its network, clipping, AdamW as it comes, two looks at the loss."""
    model, chain = _Tiny(), 50
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, chain), dim=0)
    alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True, drop_last=True)
    losses: list[float] = []

    def steps_() -> Iterator[None]:
        for epoch in itertools.count():
            bar = tqdm(total=len(loader), file=_Nowhere())
            bar.set_description(f"Epoch {epoch}")
            for (x0,) in loader:
                noise = torch.randn(x0.shape)
                k = torch.randint(0, chain, (len(x0),))
                noisy = alpha[k].reshape(-1, 1) * x0 + sigma[k].reshape(-1, 1) * noise
                loss = F.mse_loss(model(noisy, k), noise)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                bar.update(1)
                losses.append(loss.detach().item())
                bar.set_postfix(loss=loss.detach().item(), step=len(losses))
                yield
            bar.close()

    return _driven(steps_())


def azula_loss(batch: int, x: Tensor) -> Side:
    """azula leaves the loop to its user: its Karras denoiser's loss in a plain one, fused AdamW, an average in one call."""

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = MLP((2,))

        def forward(self, x: Tensor, level: Tensor) -> Tensor:
            return self.network(x, level)

    denoiser = azula.denoise.KarrasDenoiser(Backbone(), azula.noise.VPSchedule())
    weights = list(denoiser.parameters())
    average = [p.detach().clone() for p in weights]
    optimizer = torch.optim.AdamW(weights, lr=LR, fused=True)

    def run(steps: int) -> None:
        for _ in range(steps):
            x0 = x[torch.randint(len(x), (batch,))]
            loss = denoiser.loss(x0, torch.rand(batch))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(average, weights, 1e-3)

    return run


def _driven(steps: Iterator[Any]) -> Side:
    def run(count: int) -> None:
        for _ in itertools.islice(steps, count):
            pass

    return run


def peers(batch: int, x: Tensor) -> dict[str, Side]:
    """All of them, on the points x (n, 2)."""
    rows, whole = Rows(x), Whole(x, batch)
    return {
        "azula's loss, a plain loop": azula_loss(batch, x),
        "diffusers, plain": diffusers_plain(batch, x),
        "diffusers, full": diffusers_full(batch, x),
        "smalldiffusion, fed batches": smalldiffusion(batch, x, DataLoader(whole, batch_size=None)),
        "smalldiffusion, fed rows": smalldiffusion(batch, x, DataLoader(rows, batch_size=batch, drop_last=True)),
        "tiny-diffusion": tiny_diffusion(batch, x),
        "tiny-diffusion, batch 256": tiny_diffusion(256, x),
    }
