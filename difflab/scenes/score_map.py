"""ScoreMap: the learned score beside the exact one, and their difference, at every noise level.

Of a mixture the browser evaluates the exact field itself, so that scrubbing needs no kernel; of a finite set the oracle's
field crosses once. What the network says is the difference on a grid at a stack of levels (score_levels.py).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet, FiniteSet, GaussianMixture
from .arrays import Array
from .choices import as_data
from .following import ENDS, Measuring
from .look import Drawn, view_of
from .traits import ScheduleTrait, check_seed

if TYPE_CHECKING:
    from ..denoisers import Denoiser
    from .score_levels import Levels

VIEWS = ["exact", "learned", "difference"]
FACES = ["score", "eps", "x0", "v", "velocity"]
HEATS = ["along", "size", "x", "y", "none"]
RESOLUTIONS = [24, 40, 64]
OTHER = "the network is of another schedule"
PREVIEW = 1000  # points of a finite set that are drawn while its field is computed
OTHERS = 2  # levels that are measured while a training runs, beside the two around the clock


class ScoreMap(Drawn, Measuring):
    """The exact field, the learned one and their difference: of points arrows and heat, of images the images themselves.

    Args:
        data: points in the plane or grey images with a known oracle; default the ring of eight Gaussians.
        schedule: a Schedule, its name, or {"name", "params"}; default that of the denoiser.
        denoiser: a learned one to compare at once, or None.
        seed: of the samples behind the mean squares.

    Traits: `view` (exact, learned, difference), `face` (score, eps, x0, v, velocity), `weighted` (by p_t), `arrows`, `heat`
    (along the exact arrow, size, x, y, none), `scale` (of the difference: its own, "fitted", or "exact"), `contours`,
    `resolution` (24, 40 or 64 cells).

    Raises ValueError for data without an oracle, or of another shape, and for a denoiser of another schedule.
    """

    schedule = ScheduleTrait()
    #: "population" or "training set": whose truth the exact field is
    oracle = traitlets.Unicode("population").tag(sync=True)
    view = traitlets.Enum(VIEWS, "difference").tag(sync=True)
    face = traitlets.Enum(FACES, "score").tag(sync=True)
    weighted = traitlets.Bool(True).tag(sync=True)
    arrows = traitlets.Bool(True).tag(sync=True)
    heat = traitlets.Enum(HEATS, "along").tag(sync=True)
    contours = traitlets.Bool(False).tag(sync=True)
    scale = traitlets.Enum(["fitted", "exact"], "fitted").tag(sync=True)
    resolution = traitlets.Enum(RESOLUTIONS, 40).tag(sync=True)
    #: (L,) times; learned minus exact (L, G, G, 2) or (L, n, D), and E |learned - exact|^2 with its error (L, 2)
    levels = Array()
    learned = Array()
    error_at = Array()
    #: the schedule that they belong to
    learned_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    #: of a finite set: (L, G, G, 3) or (L, n, D), at times of their own
    exact = Array()
    exact_levels = Array()
    exact_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    #: of images those that are shown, of a finite set in the plane points to look at until its field is known
    x0 = Array()
    eps = Array()

    preset_traits = (
        "t", "seed", "hidden", "schedule", "view", "face", "weighted", "arrows", "heat", "scale", "contours",
        "resolution",
    )  # fmt: skip
    controls = (
        "time", "seed", "png", "view", "face", "weighted", "probe", "arrows", "heat", "scale",
        "contours", "resolution",
    )  # fmt: skip

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        denoiser: Denoiser | None = None,
        *,
        seed: int = 0,
        **traits: Any,
    ) -> None:
        check_seed(seed)
        self.data = as_data(data)
        self._turn = threading.Lock()  # what is shown belongs together
        self._asked: Levels | None = None
        self._of: tuple[Any, ...] = ()  # schedule, resolution, seed and condition that it was asked for
        self._learned: tuple[np.ndarray, np.ndarray] | None = None  # the stack so far, and its mean squares
        self._measured: Denoiser | None = None
        self._next = 0
        #: whether images are denoised given their class; a network that is measured decides for itself
        self.conditional = self.data.is_image and self.data.classes is not None
        look = _look(self.data)
        if denoiser is not None:
            _check(denoiser)
            schedule = denoiser.schedule if schedule is None else schedule
        super().__init__(schedule=schedule, seed=seed, **(look | traits))
        self.observe(lambda _: self.refresh(), ["schedule", "seed", "resolution"])
        self.refresh()
        if denoiser is not None:
            if denoiser.schedule != self._levels().schedule:
                raise ValueError(
                    f"The denoiser was made for {denoiser.schedule}, but the scene shows {self._levels().schedule}."
                )
            self.compute("learned", "again", lambda: self.measure(denoiser))

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Compare fields of other data from now on; what was learned of the old ones goes."""
        data, seed = as_data(data), self._seed_of(seed)
        look = _look(data)
        gone = dict.fromkeys(
            ("levels", "learned", "error_at", "learned_for", "exact", "exact_levels", "exact_for", "x0", "eps")
        )
        with self._turn:
            self.data, self._asked, self._learned, self._measured = data, None, None, None
            self.conditional = self.data.is_image and self.data.classes is not None
            self.publish(**(gone | look), status="", seed=seed)
        self.refresh()

    def refresh(self) -> None:
        """Ask the oracle again where the browser cannot, and the network if it is still of this schedule."""
        if not isinstance(self.data, GaussianMixture):
            self.compute("exact", "field", self._compute_exact, status="computing the exact field")
        if self._measured is not None:
            again = self._measured
            self.compute("learned", "again", lambda: self.measure(again))

    def measure(self, denoiser: Denoiser, full: bool | None = None) -> None:
        """Show what `denoiser` says beside the oracle. Computes on the calling thread.

        `full` asks at every level; without it, while a training is followed, only around the clock and at a few others in
        turn. Nothing is shown, but for a word, if the denoiser's schedule is not the scene's.
        """
        _check(denoiser)
        told = self.data.is_image and getattr(denoiser, "classes", self.data.classes) is not None
        if told != self.conditional:
            self.conditional = told
            self.compute("exact", "field", self._compute_exact)
        asked = self._levels()
        if denoiser.schedule != asked.schedule:
            self.publish(status=OTHER)
            return
        count = len(asked.times)
        if full is None:
            full = self._followed is None or self._followed.state in ENDS
        with self._turn:
            if asked is not self._asked:
                return  # data, schedule, seed or resolution changed meanwhile
            known, self._measured = self._learned, denoiser
        if full or known is None:
            chosen = list(range(count))
        else:
            chosen = sorted({*asked.around(self.t), *((self._next + j) % count for j in (0, 1))})
            self._next = (self._next + OTHERS) % count
        answers = {i: asked.compare(denoiser, i) for i in chosen}
        with self._turn:
            if asked is not self._asked:
                return
            stack, squares = known or (np.zeros((count, *answers[0][0].shape), np.float32), np.zeros((count, 2)))
            for i, (field, *square) in answers.items():
                stack[i], squares[i] = field, square
            self._learned = stack, squares
            self.publish(
                levels=asked.times.astype(np.float32),
                learned=stack.astype(np.float16),
                error_at=squares.astype(np.float32),
                learned_for=asked.computed_for,
                **({"status": ""} if self.status == OTHER else {}),
            )

    def forget(self) -> None:
        """Take the learned field away."""
        with self._turn:
            self._learned = self._measured = None
            self.publish(levels=None, learned=None, error_at=None, learned_for=None)

    def numbers(self) -> dict[str, float]:
        """Once something was learned: "fisher_divergence" E |learned - exact score|^2 at t, interpolated over log-SNR between
        the levels, its standard error, and the number of levels."""
        numbers = super().numbers()
        learned, asked = self._learned, self._levels()
        if learned is None or self.t == 0:
            return numbers
        from .score_levels import between

        i, share = between(asked.schedule, asked.times, self.t)
        square, error = (1 - share) * learned[1][i] + share * learned[1][i + 1]
        alpha, sigma = (float(a) for a in asked.schedule.alpha_sigma(self.t))
        factor = (alpha / (sigma * np.hypot(alpha, sigma))) ** 2  # of the score, see score_levels.py
        return numbers | {
            "fisher_divergence": float(factor * square),
            "fisher_divergence_error": float(factor * error),
            "levels": float(len(asked.times)),
        }

    def _levels(self) -> Levels:
        """The question of the moment."""
        from .score_levels import Levels

        with self._turn:
            asked = self._asked
            of = (self.schedule, self.resolution, self.seed, self.conditional)
            if asked is None or self._of != of:
                extent = view_of(self.data)["extent"]  # not the trait, which the publisher may not have written yet
                asked = Levels(
                    self.data,
                    self.schedule,
                    resolution=self.resolution,
                    extent=extent,
                    seed=self.seed,
                    conditional=self.conditional,
                )
                self._asked, self._of, self._learned = asked, of, None
            return asked

    def _compute_exact(self) -> None:
        """The oracle's field, coarse in t first."""
        asked = self._levels()
        done: dict[int, np.ndarray] = {}
        pictures = dict(zip(("x0", "eps"), asked.examples(), strict=True)) if asked.data.is_image else {}
        for chosen in (asked.coarse(self.t), list(range(len(asked.times)))):
            for i in chosen:
                if self.superseded("exact", "field"):
                    return
                done[i] = done[i] if i in done else asked.exact_at(i)
            with self._turn:
                if asked is not self._asked:
                    return
                self.publish(
                    exact=np.stack([done[i] for i in chosen]).astype(np.float16),
                    exact_levels=asked.times[chosen].astype(np.float32),
                    exact_for=asked.computed_for,
                    **pictures,
                )


def _look(data: DataSet) -> dict[str, Any]:
    if not isinstance(data, GaussianMixture | FiniteSet):
        raise ValueError(
            f"ScoreMap compares with an exact score, and {data.name} has none: give a GaussianMixture or a FiniteSet."
        )
    look = view_of(data) | {"oracle": "population" if isinstance(data, GaussianMixture) else "training set"}
    if isinstance(data, GaussianMixture) or data.is_image:
        return look
    # the oracle of a finite set takes seconds: until then its points are on screen
    x0, _ = data.preview(PREVIEW, 0)
    eps = np.random.default_rng([0, 1]).standard_normal(x0.shape, dtype=np.float32)
    return look | {"x0": x0, "eps": eps}


def _check(denoiser: Any) -> None:
    """TypeError in one sentence for what is no denoiser."""
    from ..denoisers.base import Checked

    Checked(denoiser)
