"""The command line: `difflab lab | train | sweep | sample`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__

DEVICES = ("auto", "cpu", "cuda", "mps")


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments. `lab` hands every flag it does not know to JupyterLab."""
    top = argparse.ArgumentParser(prog="difflab", description="The laboratory for diffusion models inside Jupyter.")
    top.add_argument("--version", action="version", version=f"difflab {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    lab = commands.add_parser(
        "lab",
        help="open JupyterLab on the Lab",
        description="Opens JupyterLab on the Lab. Every other flag goes to JupyterLab, such as --no-browser or --port 8899.",
    )
    lab.add_argument(
        "--preset",
        type=Path,
        metavar="FILE",
        help="open the scene that scene.save_preset(FILE) kept: the Lab, or one alone",
    )

    train = commands.add_parser("train", help="train a network as a TOML file says, and write a checkpoint")
    train.add_argument("config", type=Path, metavar="CONFIG.toml")
    train.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the checkpoint (default: runs/ and the name of the config)"
    )
    train.add_argument("--device", choices=DEVICES, help="where to train (default: what the config says, else auto)")

    sweep = commands.add_parser("sweep", help="train many configurations beside one another, and compare them")
    sweep.add_argument("configs", type=Path, nargs="+", metavar="CONFIG.toml")
    sweep.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE,...",
        help="train with each of these values, such as training.lr=1e-3,2e-3; several times: every combination",
    )
    sweep.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("runs/sweep"), help="folder of the runs (default: %(default)s)"
    )
    sweep.add_argument("--workers", type=int, help="runs at once (default: one for each CPU; one on a GPU)")

    sample = commands.add_parser("sample", help="draw samples from a checkpoint into a picture")
    sample.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a file, or the folder of a run")
    sample.add_argument("--out", type=Path, metavar="PNG", default=Path("grid.png"), help="default: %(default)s")
    sample.add_argument("--n", type=int, default=100, help="number of samples (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    sample.add_argument("--labels", metavar="0,1,...", help="classes, which take turns (default: all)")
    sample.add_argument("--sampler", metavar="NAME", help="such as Ancestral, DDIM, UniPC (default: VelocityAdams)")
    sample.add_argument(
        "--evaluations", type=int, default=50, help="calls of the network for each sample (default: %(default)s)"
    )
    sample.add_argument(
        "--length",
        type=float,
        metavar="SHARE",
        help="average the weights over this share of the training, such as 0.15, where it followed averages",
    )
    sample.add_argument("--device", choices=DEVICES, default="auto", help="where to sample (default: %(default)s)")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. SystemExit with one sentence for what a user can mend."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["lab"] and not {"-h", "--help"} & set(given):
        from .commands.lab import lab

        return lab(given[1:])
    args = parser().parse_args(given)
    try:
        return _run(args)
    except KeyboardInterrupt:  # one that the command did not expect: while torch is imported, say, which takes seconds
        print(f"difflab {args.command} was interrupted.", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    if args.command == "train":
        from .commands.train import train

        return train(args)
    if args.command == "sweep":
        from .commands.sweep import sweep

        return sweep(args)
    from .commands.sample import sample

    return sample(args)


if __name__ == "__main__":
    sys.exit(main())
