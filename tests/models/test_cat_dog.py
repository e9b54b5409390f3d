"""The cats-and-dogs program on small folders of its own: dark bluish "cats", bright reddish "dogs"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph.callbacks import History
from symgraph.layers import Dense
from symgraph.models import Sequential, cat_dog, load_model

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("cat_dog")

COLOURS = {"cat": (30, 60, 160), "dog": (220, 90, 40)}


def write_picture(path: Path, kind: str, rng: np.random.Generator) -> None:
    noise = rng.normal(0, 25, (60, 80, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(noise + COLOURS[kind], 0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the program has been run without arguments."""
    folder = tmp_path_factory.mktemp("cat_dog")
    rng = np.random.default_rng(1)
    for part, count in (("train", 32), ("validation", 8), ("test", 2)):
        for kind in COLOURS:
            for number in range(count):
                write_picture(folder / "CatAndDog" / part / kind / f"{number:02}.png", kind, rng)
    (folder / "CatAndDog" / "train" / "dog" / "broken.jpg").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match=r"dog/broken\.jpg"):
        patch.chdir(folder)
        history = cat_dog.main(["--epochs", "3"])
    assert max(history.history["val_acc"]) >= 0.9
    return folder


def truth(folder: Path, paths: list[Path]) -> np.ndarray:
    """What the stored model says, with pictures read by Pillow alone."""
    small = [np.asarray(Image.open(p).convert("RGB").resize((150, 150), 0), "float32") / 255 for p in paths]
    return load_model(folder / "CatDogClassifier_model.h5").predict(np.stack(small))[:, 0]


def test_the_network_is_the_published_one() -> None:
    model = cat_dog.CatDogClassifier().create_model()
    assert model.count_params() == 1_061_313
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Conv2D", "MaxPooling2D"] * 5 + ["Flatten", "Dropout", "Dense", "Dense"]


def test_the_curves_one_by_one(tmp_path: Path) -> None:
    classifier, history = cat_dog.CatDogClassifier(), History()
    history.epoch = [0, 1]
    history.history = {"loss": [0.7, 0.6], "acc": [0.5, 0.6], "val_loss": [0.8, 0.7], "val_acc": [0.4, 0.55]}
    for name, draw in (("acc", classifier.show_acc), ("loss", classifier.show_loss)):
        figure = draw(history, tmp_path / f"{name}.png")
        (axes,) = figure.axes
        drawn = [list(line.get_ydata()) for line in axes.lines]
        assert drawn == [history.history[name], history.history[f"val_{name}"]]
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 300


def test_the_data_come_in_batches_of_both_folders(trained: Path) -> None:
    batches, held_out = cat_dog.CatDogClassifier().load_data(trained / "CatAndDog")
    assert (batches.samples, held_out.samples) == (65, 16)
    assert held_out[0][0].shape == (16, 150, 150, 3)


def test_training_leaves_model_and_curves_in_the_working_folder(trained: Path) -> None:
    left = sorted(p.name for p in trained.iterdir() if p.is_file())
    assert left == ["CatDogClassifier_curves.png", "CatDogClassifier_model.h5"]
    with Image.open(trained / "CatDogClassifier_curves.png") as curves:
        assert curves.width > curves.height > 300  # loss beside accuracy


def test_one_picture(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = trained / "CatAndDog" / "test" / "dog" / "00.png"
    cat_dog.main(["-f", str(picture), "--weights", str(trained / "CatDogClassifier_model.h5")])
    dog = float(truth(trained, [picture])[0])
    assert dog > 0.5
    assert capsys.readouterr().out == f"{picture}: dog ({dog:.4f})\n"


def test_a_folder_with_a_bad_picture_gives_a_table_and_a_sheet(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    for name, kind in (("cat/a.png", "cat"), ("cat/b.png", "dog"), ("dog/c.PNG", "dog"), ("d.png", "cat")):
        write_picture(tmp_path / "in" / name, kind, rng)
    (tmp_path / "in" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    weights, sheet = str(trained / "CatDogClassifier_model.h5"), tmp_path / "sheet.png"
    cat_dog.main(["-d", str(tmp_path / "in"), "--weights", weights, "--sheet", str(sheet)])
    lines = capsys.readouterr().out.splitlines()
    names = ["cat/a.png", "cat/b.png", "d.png", "dog/c.PNG"]
    dogs = dict(zip(names, truth(trained, [tmp_path / "in" / n for n in names]), strict=True))
    assert [line.split()[0] for line in lines[1:6]] == [*names[:2], "cat/broken.jpg", *names[2:]]
    assert lines[3].split()[1] == "-"
    del lines[3]
    for line, name in zip(lines[1:5], names, strict=True):
        _, kind, share, *rest = line.split()
        assert kind == ("dog" if dogs[name] >= 0.5 else "cat")
        assert float(share) == pytest.approx(max(dogs[name], 1 - dogs[name]), abs=1e-4)
        assert rest == (["wrong"] if name == "cat/b.png" else [])
    assert lines[5] == "5 pictures: 2 cats, 2 dogs, 1 unreadable; 2 of 3 as their folders say (0.6667)"
    with Image.open(sheet) as page:
        assert page.size == (8 + 5 * 168, 8 + 190)
        at = [page.getpixel((8 + 168 * place + 80, 8 + 80)) for place in range(5)]
        frames = [page.getpixel((8 + 168 * place - 1, 8 + 80)) for place in range(5)]
    assert at.pop(2) == (255, 255, 255)  # an empty frame
    # Red is for wrong answers, not for none.
    assert [frame == (200, 30, 30) for frame in frames] == [False, True, False, False, False]
    for place, kind in enumerate(("cat", "dog", "cat", "dog")):
        assert np.abs(np.subtract(at[place], COLOURS[kind])).max() < 120


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no folder CatAndDog/train/cat"),
        (["--data", "elsewhere"], "no folder elsewhere/train/cat"),
        (["-f", "a.png"], "no model CatDogClassifier_model.h5"),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=words):
        cat_dog.main(arguments)
    assert not any(tmp_path.iterdir())


def test_a_folder_without_pictures_and_an_unreadable_picture(trained: Path, tmp_path: Path) -> None:
    weights = ["--weights", str(trained / "CatDogClassifier_model.h5")]
    with pytest.raises(SystemExit, match="no picture"):
        cat_dog.main(["-d", str(tmp_path), *weights])
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(SystemExit, match=r"x\.png"):
        cat_dog.main(["-f", str(tmp_path / "x.png"), *weights])


def test_a_sheet_that_cannot_be_written_is_refused_before_the_work(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "-d",
        str(trained / "CatAndDog" / "test"),
        "--weights",
        str(trained / "CatDogClassifier_model.h5"),
    ]
    for sheet, words in (
        ("a.foo", r"a\.foo should name a format"),
        ("no/a.png", "no folder .*no for the contact"),
    ):
        with pytest.raises(SystemExit, match=words):
            cat_dog.main([*asked, "--sheet", str(tmp_path / sheet)])
    assert capsys.readouterr().out == ""


def test_what_training_could_not_end_with_is_refused_before_it(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cat_dog.Sequential, "fit_generator", None)
    for weights in (tmp_path, tmp_path / "no" / "w.h5"):
        with pytest.raises(SystemExit, match="--weights: cannot write"):
            cat_dog.main(["--data", str(trained / "CatAndDog"), "--weights", str(weights)])
    for part in ("train", "validation"):
        for kind in COLOURS:
            (tmp_path / part / kind).mkdir(parents=True)
    write_picture(tmp_path / "train" / "dog" / "a.png", "dog", np.random.default_rng(0))
    with pytest.raises(SystemExit, match=r"no pictures in cat and dog of .*validation"):
        cat_dog.main(["--data", str(tmp_path)])


def test_ctrl_c_before_the_first_epoch_ends_writes_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cat_dog.Sequential, "fit_generator", interrupted)
    old = tmp_path / "w.h5"
    old.write_bytes(b"the model of another day")
    history = cat_dog.main(["--data", str(trained / "CatAndDog"), "--weights", str(old)])
    assert history.epoch == []
    assert capsys.readouterr().out.endswith("Stopped before the end of an epoch: nothing is written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]


def test_a_model_of_something_else_is_refused(trained: Path, tmp_path: Path) -> None:
    other = Sequential([Dense(2, input_shape=(3,))])
    other.compile("sgd", "mse")
    other.save(tmp_path / "other.h5")
    picture = str(trained / "CatAndDog" / "test" / "dog" / "00.png")
    with pytest.raises(SystemExit, match=r"other\.h5 is another model: .* got \(None, 3\) to \(None, 2\)"):
        cat_dog.main(["-f", picture, "--weights", str(tmp_path / "other.h5")])


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--sheet", "a.png"], ["-f", "a", "-d", "b"]])
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        cat_dog.main(arguments)
    assert error.value.code == 2
    assert capsys.readouterr().err
