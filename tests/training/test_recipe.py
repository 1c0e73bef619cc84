import pytest

from difflab.data import GaussianMixture, digits
from difflab.networks import DiT
from difflab.schedules import Flow, Tabulated, VPCosine, VPLinear, ZeroTerminalSNR
from difflab.training.recipe import RecipeError, read


def written(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_everything_a_recipe_can_say(tmp_path):
    recipe = read(
        written(
            tmp_path,
            """
            [data]
            name = "ring"
            components = 5
            std = 0.4
            [schedule]
            name = "VPLinear"
            beta_max = 0.03
            [model]
            prediction = "eps"
            conditional = true
            width = 24
            depth = 2
            [training]
            steps = 7
            batch = 32
            lr = 1e-3
            seed = 5
            device = "cpu"
            """,
        )
    )
    assert recipe.data.to_dict() == GaussianMixture.ring(5, std=0.4).to_dict()
    assert recipe.denoiser.schedule == VPLinear(beta_max=0.03)
    assert recipe.denoiser.prediction == "eps"
    assert recipe.denoiser.classes == 5
    assert recipe.denoiser.network.config["width"] == 24
    assert recipe.training == {"steps": 7, "batch": 32, "lr": 1e-3, "device": "cpu"}
    assert recipe.seed == 5


def test_what_is_not_said_is_the_digits_with_classes(tmp_path):
    recipe = read(written(tmp_path, "training.steps = 3"))
    assert recipe.data is digits()
    assert recipe.denoiser.schedule == VPCosine()
    assert recipe.denoiser.prediction == "v"
    assert recipe.denoiser.classes == 10


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ('[schedule]\nname = "Flow"', Flow()),
        ('[schedule]\nname = "Tabulated"\nvalues = [9.0, 1, -8.0]', Tabulated((9.0, 1.0, -8.0))),
        (
            '[schedule]\nname = "ZeroTerminalSNR"\n[schedule.base]\nname = "VPLinear"\nbeta_max = 0.03',
            ZeroTerminalSNR(VPLinear(beta_max=0.03)),
        ),
        ('[schedule]\nname = "ZeroTerminalSNR"', ZeroTerminalSNR()),
    ],
)
def test_every_kind_of_schedule(tmp_path, text, schedule):
    recipe = read(written(tmp_path, f"training.steps = 3\n{text}"))
    assert recipe.denoiser.schedule == schedule


def test_a_network_is_named_with_its_options(tmp_path):
    recipe = read(
        written(tmp_path, "[model]\nnetwork = 'DiT'\nwidth = 32\nheads = 2\ndropout = 0.1\n[training]\nsteps = 5")
    )
    assert isinstance(recipe.denoiser.network, DiT)
    assert recipe.denoiser.network.config == {
        "shape": [1, 8, 8], "width": 32, "depth": 4, "heads": 2, "patch": 2, "classes": 10, "dropout": 0.1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("base = 3", 'described by {"name"'),
        ("base.beta_max = 0.1", "a table of a schedule must say its name, but has beta_max"),
        ('base.name = "Linear"', "no schedule named 'Linear'"),
        ('base.name = "Geometric"', "needs a variance-preserving schedule"),
    ],
)
def test_a_schedule_within_a_schedule_is_refused_in_one_sentence(tmp_path, text, sentence):
    with pytest.raises(RecipeError, match=sentence) as caught:
        read(written(tmp_path, f'training.steps = 3\n[schedule]\nname = "ZeroTerminalSNR"\n{text}'))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_the_recipes_that_come_along_are_sound(name):
    from pathlib import Path

    recipe = read(Path(__file__).parents[2] / "configs" / f"{name}.toml")
    assert recipe.training["steps"] > 100


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[training", "is not TOML"),
        ("[optimiser]\nlr = 1", "optimiser is not known; choose from data, model, schedule, training"),
        ("training = 3", "training must be a table"),
        ("[data]\nname = 'faces'", "no data named 'faces'"),
        ("[data]\nname = 'ring'\ncolour = 3", "data.colour is not known; choose from components, radius, std"),
        ("[data]\nname = ['ring']", r"no data named \['ring'\]; choose one of ring, grid, random, moons, digits"),
        ("[data]\nname = 'two_moons'", "no data named 'two_moons'"),
        ("[data]\nname = 'ring'\nstd = -1.0", "data.std must be a number of 0 or more, but got -1.0"),
        ("[data]\nname = 'ring'\nstd = nan", "data.std must be a number of 0 or more, but got nan"),
        ("[data]\nname = 'ring'\nstd = 0", "std must be a length above 0"),
        ("[data]\nname = 'ring'\ncomponents = 'x'", "data.components must be a whole number from 1 to .*got 'x'"),
        ("[data]\nname = 'ring'\ncomponents = 0", "data.components must be a whole number from 1"),
        ("[data]\nname = 'random'\nseed = -1", "data.seed must be a whole number from 0"),
        ("[data]\nname = 'random'\ndim = 10_000\ncomponents = 10_000", "does not fit into memory"),
        ("[data]\nname = 'moons'\nnoise = true", "data.noise must be a number of 0 or more, but got True"),
        ("[schedule]\nname = ['VPCosine']", r"no schedule named \['VPCosine'\]"),
        ("[schedule]\ns = 'x'", "parameter s must be a number, but got 'x'"),
        ("[schedule]\nname = 'Geometric'\nsigma_max = inf", "levels from"),
        ("[model]\nprediction = ['v']", r"can predict eps, x0, v, velocity, edm, but got \['v'\]"),
        ("[model]\nconditional = 'yes'", "model.conditional must be true or false, but got 'yes'"),
        ("[model]\nseed = 'x'", "model.seed must be a whole number from 0"),
        ("[model]\nwidth = 'x'", "UNet's width must be whole numbers from 1 to"),
        ("[model]\nwidth = [8]", "UNet's width must be whole numbers from 1 to"),
        ("[model]\nwidth = 60", "width must be divisible by 8, but got 60"),
        ("[training]\nsteps = 'x'", "training.steps must be a whole number of at least 1, but got 'x'"),
        ("[training]\nsteps = 5\nlr = 'x'", "lr, the learning rate, must be a positive number, but got 'x'"),
        ("[training]\nsteps = 5\nbatch = 2.5", "batch must be a whole number"),
        ("[training]\nsteps = 5\ndecay = []", "decay must be one of constant, cosine, .*, but got .."),
        ("[training]\nsteps = 5\nclip_gradient = '1'", "clip_gradient must be a number above 0"),
        ("[training]\nsteps = 5\nthreads = -1", "training.threads must be a whole number"),
        ("[training]\nsteps = 5\nsave_every = 0", "training.save_every must be a whole number"),
        ("[training]\nsteps = 5\ndevice = 3", "training.device must be a name, but got 3"),
        ("[training]\nsteps = 5\ndevice = 'abacus'", "training.device: There is no device named 'abacus'; choose auto"),
        ("[training]\nsteps = 5\nclip_gradient = inf", "training.clip_gradient must be a number above 0, .* got inf"),
        (
            "[data]\nname = 'ring'\n[model]\ndepth = 1\nwidth = 0",
            "model.width: MLP's width must be whole numbers from 1",
        ),
        ("[data]\nname = 'digits'\ncopies = -1", "data.copies must be a whole number from 0 to 10000, but got -1"),
        ("[training]\nsteps = 5\nseed = 'x'", "training.seed must be a whole number from 0"),
        ("[training]\nsteps = 5\nseed = -1", "training.seed must be a whole number from 0"),
        ("[schedule]\nname = 'Magic'", "no schedule named 'Magic'"),
        ("[schedule]\nspeed = 1", "VPCosine has no parameter 'speed'"),
        ("[model]\nprediction = 'score'", "can predict eps, x0, v"),
        ("[model]\nheads = 3", "UNet has no option 'heads'"),
        ("[model]\nnetwork = 'Transformer'", "no network named 'Transformer'; choose one of MLP, UNet, DiT"),
        ("[model]\nnetwork = 3", "model.network must be a name, but got 3"),
        (
            "[model]\nnetwork = 'DiT'\ndropout = 1.0",
            "DiT's dropout must be a number from 0 to less than 1, but got 1.0",
        ),
        ("[data]\nname = 'ring'\n[model]\nnetwork = 'DiT'", "A DiT needs images"),
        ("[model]\ndepth = 3", "UNet has no option 'depth'"),
        ("[training]\nlearning_rate = 3", "training.learning_rate is not known"),
        ("[training]\nlr = 1e-3", "give training.steps"),
    ],
)
def test_refused_in_one_sentence(tmp_path, text, sentence):
    with pytest.raises(RecipeError, match=sentence) as caught:
        read(written(tmp_path, text))
    assert "\n" not in str(caught.value)
    words = ("unhashable", "operand", "argument", "invalid literal", "Error", "NoneType")  # Python's own
    assert not any(word in str(caught.value) for word in words)
    assert "recipe.toml" in str(caught.value)


def test_what_is_no_file_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(TypeError, match="A recipe is read from the path of its TOML file, but got None"):
        read(None)
    with pytest.raises(RecipeError, match="is a folder, and no recipe: that is a text file in TOML"):
        read(tmp_path)


def test_a_slip_in_how_to_train_is_told_before_data_is_read(tmp_path):
    text = "[data]\nname = 'folder'\npath = 'nowhere'\n[training]\nsteps = 5\n"
    with pytest.raises(RecipeError, match=r"training\.batch must be"):
        read(written(tmp_path, text + "batch = 0"))
    with pytest.raises(RecipeError, match="There is no folder"):
        read(written(tmp_path, text))


def images(folder):
    import numpy as np
    from PIL import Image

    for i in range(6):
        path = folder / "images" / str(i % 2) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((10, 12), 40 * i, np.uint8)).save(path)


def test_data_from_files_lies_where_the_recipe_says_beside_itself(tmp_path, monkeypatch):
    import numpy as np

    from difflab.data import FiniteSet, Streamed

    images(tmp_path)
    np.savez(tmp_path / "x.npz", x=np.arange(12.0).reshape(6, 2), vectors=np.ones((6, 3)))
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(6, 2))
    np.save(tmp_path / "labels.npy", np.arange(6) // 2)
    monkeypatch.chdir(tmp_path.parent)  # the working directory is another

    def data(text):
        return read(written(tmp_path, f"training.steps = 3\n[data]\n{text}")).data

    folder = data("name = 'folder'\npath = 'images'\nsize = 8")
    assert (folder.shape, folder.classes, folder.name) == ((1, 8, 8), 2, "images")
    assert isinstance(folder, FiniteSet)
    assert isinstance(data("name = 'folder'\npath = 'images'\nmemory_limit = 0"), Streamed)
    assert data("name = 'array'\npath = 'x.npz'").vector == 3
    array = data(f"name = 'array'\npath = '{tmp_path}/x.npy'\nlabels = 'labels.npy'\nrange = [0, 22]\nlevels = 23")
    assert (array.classes, array.range, array.levels) == (3, (0.0, 22.0), 23)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = 'folder'", "data.path is missing, and this data needs it"),
        ("name = 'mnist'", "data.root is missing"),
        ("name = 'folder'\npath = 3", "data.path must be the text of a path, but got 3"),
        ("name = 'folder'\npath = 'none'", "There is no folder .*none"),
        ("name = 'array'\npath = 'none.npy'", "There is no file .*none.npy"),
        ("name = 'folder'\npath = 'images'\nsize = 'x'", "size must be a whole number from 1 to .* got 'x'"),
        (
            "name = 'folder'\npath = 'images'\ncolour = 3",
            "data.colour is not known; choose from channels, memory_limit, path",
        ),
        ("name = 'folder'\npath = 'images'\nmemory_limit = '1'", "memory_limit must be .* got '1'"),
        ("name = 'mnist'\nroot = '.'\ndownload = 'yes'", "download must be True or False, but got 'yes'"),
        ("name = 'cifar10'\nroot = '.'", "CIFAR10 is loaded by torchvision, which is missing"),
    ],
)
def test_data_from_files_is_refused_in_one_sentence(tmp_path, monkeypatch, text, sentence):
    import sys

    monkeypatch.setitem(sys.modules, "torchvision", None)
    images(tmp_path)
    with pytest.raises(RecipeError, match=f"recipe.toml: .*{sentence}") as caught:
        read(written(tmp_path, f"training.steps = 3\n[data]\n{text}"))
    assert "\n" not in str(caught.value)
