"""The default sampler beside the settings of other libraries on trained networks: does it gain there what it does exactly?

    python benchmarks/quality_network.py [--steps 6000] [--points 2000] [--budgets 5 8 10 20] [--markdown]

A network for each of the two targets of `quality.py` is trained for a while. Each setting's end is compared with that of the
network's own probability flow from the same start, and with data by the energy distance. Networks compute in float32.
"""

from __future__ import annotations

import argparse
import math
import warnings

import torch
from quality import FORTY, RING, denoise_of, measure, own
from quality_peers import settings
from torch import Tensor

from difflab.denoisers import NetworkDenoiser
from difflab.metrics import energy_distance
from difflab.schedules import VPCosine
from difflab.training import fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--budgets", type=int, nargs="+", default=[5, 8, 10, 20])
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    z = torch.randn(options.points, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for mixture in (RING, FORTY):
        network = NetworkDenoiser.for_data(mixture, VPCosine(), "v", width=128)
        network.clip = None  # whose kink would be in every method's way
        generator = torch.Generator().manual_seed(0)
        trained = fit(network, mixture, steps=options.steps, progress=False, batch=512, lr=2e-3, generator=generator)
        trained.eval()
        narrow = denoise_of(trained)

        def denoise(y: Tensor, sigma: float, narrow=narrow) -> Tensor:  # type: ignore[no-untyped-def]
            with torch.no_grad():
                return narrow(y.float(), sigma).double()

        data, again = (mixture.sample(options.points, torch.Generator().manual_seed(s)).double() for s in (1, 2))
        print(mixture.name, f"energy distance of two true sets {float(energy_distance(data, again).value):.1e}")
        found = measure(denoise, [*own(trained), *settings()], z, tuple(options.budgets), data)
        for budget, runs in found.items():
            peer = next(r for r in runs[1:] if not r.ours)
            least = min(r.energy for r in runs[1:] if math.isfinite(r.energy))
            cells = [mixture.name, f"{budget}", f"{runs[0].error:.1e}", f"{peer.error:.1e}", peer.name]
            cells += [f"{runs[0].energy:.1e}", f"{least:.1e}"]
            print(f"| {' | '.join(cells)} |" if options.markdown else "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
