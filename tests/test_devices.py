"""No accelerator is at hand, so everything is driven once where mixed devices cannot pass: FakeTensorMode on "meta".

There tensors have a device, a dtype and a shape but no values, and an operation on two devices raises. Tables that are
kept on the CPU (schedules, chains, oracles, the noise pool) must therefore be moved to where x is. To stand for MPS, "meta"
is also driven as a device that has no float64.
"""

import pytest
import torch
from dry_run import META, No64, dry_run

from difflab.chain import MarkovChain
from difflab.data import GaussianMixture, digits
from difflab.decoders import decoder_of
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser, Posterior
from difflab.elbo import term
from difflab.likelihood import Exact, Fixed, Hutchinson, log_likelihood
from difflab.networks import Adapted, network_for
from difflab.objectives import denoising_loss
from difflab.samplers import DDIM, Ancestral, AnnealedLangevin, Langevin, grids, sample
from difflab.schedules import Flow, Geometric, VPCosine, VPLinear
from difflab.training import prepare, train

TWO_DEVICES = r"found (at least two devices|two different devices),? (meta(:0)?(,| and) cpu|cpu(,| and) meta)"
SCHEDULES = [VPLinear(), VPCosine(), Geometric()]
DATA = [GaussianMixture.ring(), digits()]
SAMPLERS = [
    Ancestral(),
    Ancestral("large"),
    DDIM(),
    DDIM(0.5),
    AnnealedLangevin(2),
    AnnealedLangevin(2, denoise=False),
    Langevin(),
]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
each_data = pytest.mark.parametrize("data", DATA, ids=lambda d: d.name)


@pytest.fixture
def without_float64(monkeypatch):
    monkeypatch.setattr("difflab.device.WITHOUT_FLOAT64", {"meta"})


def oracle_of(data, schedule):
    return ExactDenoiser(data, schedule)


def network_of(data, schedule, prediction="eps"):
    with META:
        return NetworkDenoiser(network_for(data, conditional=True), schedule, prediction=prediction)


# every schedule once, and with one of them every kind of denoiser on every kind of data
each_case = pytest.mark.parametrize(
    ("make", "data", "schedule"),
    [(oracle_of, DATA[0], schedule) for schedule in SCHEDULES]
    + [(oracle_of, DATA[1], VPCosine()), (network_of, DATA[0], VPCosine()), (network_of, DATA[1], VPCosine())],
    ids=lambda v: getattr(v, "name", None) or v.__name__,
)


@each_case
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.label)
def test_every_sampler_stays_on_the_device(sampler, make, data, schedule):
    labels = torch.zeros(3, dtype=torch.int64, device=META)
    denoiser = Conditioned(make(data, schedule), labels)
    grid = grids.constant(0.5, 2) if isinstance(sampler, Langevin) else grids.uniform(schedule, 3)
    states = sample(denoiser, sampler, grid, x=torch.zeros(3, *data.shape, device=META))
    with dry_run():
        for state in states:
            assert state.x.device == META
            assert state.x.shape == (3, *data.shape)
            assert state.x.dtype == torch.float32


@each_data
def test_a_run_from_noise_takes_place_where_the_network_is(data):
    network = network_of(data, VPCosine())
    for denoiser in (network, Conditioned(network, torch.zeros(3, dtype=torch.int64))):  # labels may lie elsewhere
        assert denoiser.device == META
        states = sample(denoiser, DDIM(), grids.uniform(VPCosine(), 3), n=3, shape=data.shape)
        with dry_run():
            assert [state.x.device for state in states] == [META] * 4
    oracle = Conditioned(oracle_of(data, VPCosine()), torch.zeros(3, dtype=torch.int64))
    assert oracle.device is None  # at home anywhere
    assert next(sample(oracle, DDIM(), [1.0, 0.0], n=3)).x.device.type == "cpu"
    assert next(sample(oracle, DDIM(), [1.0, 0.0], n=3, device="meta")).x.device == META


@each_case
@pytest.mark.parametrize("variance", ["large", "small"])
def test_every_term_stays_on_the_device(variance, make, data, schedule):
    chain, denoiser = MarkovChain(schedule, 10), make(data, schedule)
    oracle = denoiser if make is oracle_of else oracle_of(data, schedule)
    x0, k = torch.zeros(3, *data.shape, device=META), torch.ones(3, dtype=torch.int64, device=META)
    with dry_run():
        for truth in (None, oracle):
            nats = term(
                denoiser, chain, x0, k, torch.zeros_like(x0), decoder=decoder_of(data), variance=variance, oracle=truth
            )
            assert (nats.device, nats.dtype, nats.shape) == (META, torch.float64, (3,))


ASKED = ["score", "log_prob", "divergence", "posterior_covariance", "mode_probabilities"]


@each_schedule
@each_data
@pytest.mark.parametrize("ask", ASKED)
def test_whatever_an_oracle_is_asked_stays_on_the_device(ask, data, schedule, without_float64):
    oracle, x = oracle_of(data, schedule), torch.zeros(3, *data.shape, device=META)
    with dry_run(), No64():
        for t in (0.5, torch.full((3,), 0.5, device=META)):
            found = getattr(oracle, ask)(x, t)
            assert (found.device, found.dtype, len(found)) == (META, torch.float32, 3)


@pytest.mark.parametrize(
    ("divergence", "make", "data"),  # the exact divergence of an image would take as many passes as it has pixels
    [(Exact(), oracle_of, DATA[0]), (Exact(), network_of, DATA[0]), (Hutchinson(2), network_of, DATA[1])],
    ids=["exact-oracle", "exact-network", "hutchinson-network"],
)
def test_a_likelihood_stays_on_the_device(divergence, make, data):
    x, denoiser = torch.zeros(3, *data.shape, device=META), make(data, VPCosine())
    with dry_run():
        found = log_likelihood(denoiser, x, start=0.1, divergence=divergence, steps=Fixed(1))
    assert (found.log_prob.device, found.log_prob.dtype, found.latent.shape) == (META, torch.float64, x.shape)


@pytest.mark.parametrize(("make", "data"), [(oracle_of, DATA[0]), (network_of, DATA[1])])
def test_no_likelihood_needs_float64_on_the_device(make, data, without_float64):
    denoiser = make(data, VPCosine())
    with dry_run(), No64():
        x = torch.zeros(3, *data.shape, device=META)
        found = log_likelihood(denoiser, x, start=0.1, divergence=Hutchinson(2), steps=Fixed(1))
    assert (found.log_prob.device.type, found.log_prob.dtype) == ("cpu", torch.float64)


@each_schedule
@each_data
@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "edm"])
def test_a_training_step_stays_on_the_device(prediction, data, schedule):
    denoiser = network_of(data, schedule, prediction)
    x0, labels = torch.zeros(4, *data.shape, device=META), torch.zeros(4, dtype=torch.int64, device=META)
    optimiser = torch.optim.AdamW(denoiser.parameters(), lr=1e-3)
    with dry_run():
        loss = denoising_loss(denoiser, x0, labels)
        loss.mean.backward()
        optimiser.step()
    assert loss.mean.device == META
    assert all(p.grad is not None and p.grad.device == META for p in denoiser.parameters())


@each_data
@pytest.mark.parametrize("prediction", ["velocity", "edm"])
def test_a_learned_range_stays_on_the_device(prediction, data, without_float64):
    with META:
        network = network_for(data, conditional=True, outputs=2)
    denoiser = NetworkDenoiser(network, Flow(), prediction, learned_range=True)
    x_t, labels = torch.zeros(4, *data.shape, device=META), torch.zeros(4, dtype=torch.int64, device=META)
    with dry_run(), No64():
        for t in (0.5, torch.zeros(4, device=META)):
            answer = denoiser(x_t, t, labels)
            assert answer.mean.device == answer.fraction.device == META
            assert answer.mean.shape == answer.fraction.shape == x_t.shape
        denoising_loss(denoiser, x_t, labels).mean.backward()


@pytest.mark.parametrize("told", ["nothing", "log_snr", "c_noise", "sigma", "t", "step"])
def test_an_adapted_module_is_told_on_the_device(told, without_float64):
    class Module(torch.nn.Module):
        def forward(self, x, *level):
            return x * level[0][:, None] if level else x

    denoiser = NetworkDenoiser(Adapted(Module(), told, schedule=VPCosine()), VPCosine(), "edm")
    with dry_run(), No64():
        assert denoiser(torch.zeros(3, 2, device=META), 0.5).mean.device == META


@each_data
def test_the_loop_itself_stays_on_the_device(data):
    denoiser = network_of(data, VPCosine())
    with dry_run():
        losses = [state.loss for state in train(denoiser, data, steps=3, batch=8, device="meta")]
    assert [loss.device for loss in losses] == [META] * 3


def test_float64_where_there_is_none_would_be_noticed():
    with dry_run(), No64(), pytest.raises(TypeError, match="float64 on a device"):
        VPCosine().alpha(torch.zeros(3, device=META))


@each_data
def test_training_needs_no_float64_on_the_device(data, without_float64):
    with dry_run(), No64():
        run = prepare(network_of(data, VPCosine()), data, steps=3, batch=8, device="meta", label_dropout=0.5)
        for _ in range(2):
            run.descend(run.loss())
        assert run.blocks.unlabelled.device == META
        saved = run.state()
    assert saved["step"].device.type == "cpu"


@each_case
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.label)
def test_no_sampler_needs_float64_on_the_device(sampler, make, data, schedule, without_float64):
    grid = grids.constant(0.5, 2) if isinstance(sampler, Langevin) else grids.uniform(schedule, 3)
    states = sample(make(data, schedule), sampler, grid, x=torch.zeros(3, *data.shape, device=META))
    with dry_run(), No64():
        assert [state.x.device for state in states] == [META] * len(grid)


@each_case
def test_no_term_needs_float64_on_the_device(make, data, schedule, without_float64):
    chain, denoiser = MarkovChain(schedule, 10), make(data, schedule)
    with dry_run(), No64():
        x0, k = torch.zeros(3, *data.shape, device=META), torch.ones(3, dtype=torch.int64, device=META)
        nats = term(denoiser, chain, x0, k, torch.zeros_like(x0), decoder=decoder_of(data))
    assert (nats.device.type, nats.dtype) == ("cpu", torch.float64)


class Forgetful:
    """The mistake this file is for: a table left on the CPU."""

    shape = (2,)

    def __init__(self, schedule, how):
        self.schedule, self.how = schedule, how
        self.table = torch.linspace(1, 0, 4)

    def __call__(self, x_t, t, labels=None):
        if self.how == "multiplied":
            return Posterior(x_t * self.table[: len(x_t), None])
        index = torch.zeros(len(x_t), dtype=torch.int64, device=x_t.device)
        return Posterior(x_t * self.table.gather(0, index)[:, None])


@pytest.mark.parametrize("how", ["multiplied", "gathered"])
@pytest.mark.parametrize("sampler", SAMPLERS[:6], ids=lambda s: s.label)
def test_the_dry_run_catches_a_table_left_on_the_cpu(sampler, how):
    states = sample(Forgetful(VPCosine(), how), sampler, grids.uniform(VPCosine(), 3), x=torch.zeros(3, 2, device=META))
    with dry_run(), pytest.raises(RuntimeError, match=TWO_DEVICES):
        list(states)
    # on one device the same denoiser is fine: it is the devices that are refused
    assert len(list(sample(Forgetful(VPCosine(), how), sampler, grids.uniform(VPCosine(), 3), n=3))) == 4
