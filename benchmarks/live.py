"""What watching costs: steps per second of training with all scenes live, beside the same loop with none.

    python benchmarks/live.py [--rounds 7] [--seconds 4] [--preset ring] [--browser]

Two trainers of the same network on the same data take turns in one process, since this kind of machine drifts by 10-30 %; the
order changes every round. The live one is the Lab's own: every look, every message, and the learned bound measured again
and again. With --browser the process is the kernel of a real JupyterLab, and the Lab is on a page in Chromium (CHROMIUM names
it), which draws on the other core.

On a machine that others use too the clock on the wall tells little: beside the ratio stands what the processor did for all
other threads of the process, as a share of what it did for the training's. That much the watchers take where there is one core
for all; with a core for them they take what the training waits for the interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from difflab.scenes.lab import Lab
from difflab.scenes.own_training import SETTINGS


def compare(lab: Lab, rounds: int, seconds: float) -> list[dict[str, float]]:
    """Steps per second of both, a pair a round, and as "beside" what the other threads took in the live half."""
    import torch

    from difflab.training import Trainer

    lab.train_steps = 10**8
    lab.settle()
    lab.train()
    lab.settle()
    live = lab.monitor.trainer
    settings = SETTINGS["images" if lab.data.is_image else "points"] | {"steps": lab.train_steps}
    twin = live.snapshot().requires_grad_(True).train()
    bare = Trainer(twin, lab.data, **settings, generator=torch.Generator().manual_seed(0))
    live.pause()
    bare.start()
    bare.pause()
    pairs = []
    for i in range(rounds):
        order = sorted({"live": live, "bare": bare}.items(), reverse=bool(i % 2))
        found = {name: speed(trainer, seconds) for name, trainer in order}
        pairs.append({name: steps for name, (steps, _) in found.items()} | {"beside": found["live"][1]})
    bare.stop()
    live.stop()
    return pairs


def speed(trainer: object, seconds: float) -> tuple[float, float]:
    """Steps per second over `seconds` of running, and processor time of all other threads over that of trainings."""
    trainer.resume()
    time.sleep(0.5)  # past the first steps after a pause
    first, start, whole, own = trainer.step, time.perf_counter(), time.process_time(), of_trainings()
    time.sleep(seconds)
    steps, took = trainer.step - first, time.perf_counter() - start
    whole, own = time.process_time() - whole, of_trainings() - own
    trainer.pause()
    return steps / took, whole / own - 1


def of_trainings() -> float:
    """Seconds of processor time of all training threads."""
    threads = [t for t in threading.enumerate() if t.name.startswith("difflab-training")]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(t.ident)) for t in threads)


def in_jupyterlab(preset: str, rounds: int, seconds: float) -> list[dict[str, float]]:
    """`compare` in the kernel of the Lab that a page shows."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--no-browser", "--IdentityProvider.token=", "--ServerApp.password=", "--expose-app-in-browser"]
    command = [sys.executable, "-m", "difflab.cli", "lab", f"--port={port}", *flags]
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import json, live, difflab.scenes.lab as room\n"
        f"lab = room.start(); lab.choose({preset!r}); lab.settle()\n"
        f"print('PAIRS', json.dumps(live.compare(lab, {rounds}, {seconds})))"
    )
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
            page.set_viewport_size({"width": 1400, "height": 900})
            _until_answering(port)
            page.goto(f"http://127.0.0.1:{port}/lab/workspaces/difflab")
            page.locator(".difflab-tab .difflab-lab canvas").first.wait_for(timeout=60_000)
            said = page.evaluate(
                """async (code) => {
                    const tab = [...jupyterapp.shell.widgets('main')].find((w) => w.content?.session);
                    const future = tab.content.session.session.kernel.requestExecute({ code });
                    let said = '';
                    future.onIOPub = (m) => { said += m.content.text ?? m.content.evalue ?? ''; };
                    await future.done;
                    return said;
                }""",
                code,
            )
    finally:
        server.terminate()
        server.wait(20)
    if "PAIRS" not in said:
        raise RuntimeError(f"The kernel did not answer with figures: {said}")
    return json.loads(said.split("PAIRS", 1)[1].splitlines()[0])


def _until_answering(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--preset", default="ring")
    parser.add_argument("--browser", action="store_true", help="with the Lab on a page of a real JupyterLab")
    arguments = parser.parse_args()
    if arguments.browser:
        pairs = in_jupyterlab(arguments.preset, arguments.rounds, arguments.seconds)
    else:
        pairs = compare(Lab(arguments.preset), arguments.rounds, arguments.seconds)
    for i, pair in enumerate(pairs, 1):
        ratio = pair["live"] / pair["bare"]
        print(f"round {i}: bare {pair['bare']:.0f} steps/s, live {pair['live']:.0f} steps/s, ratio {ratio:.3f}")
    ratios = sorted(pair["live"] / pair["bare"] for pair in pairs)
    beside = statistics.median(pair["beside"] for pair in pairs)
    print(f"other threads, of the training's processor time: median {beside:.3f}")
    print(f"live / bare: median {statistics.median(ratios):.3f}, best {ratios[-1]:.3f}, worst {ratios[0]:.3f}")


if __name__ == "__main__":
    main()
