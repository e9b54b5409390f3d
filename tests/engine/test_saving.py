"""Models in files: round trips, Keras' layout, and what is refused."""

import contextlib
import copy
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from symgraph import backend as K
from symgraph import globals as state
from symgraph import losses, optimizers
from symgraph.engine.files.hdf5 import HDF5_OBJECT_HEADER_LIMIT, write_texts
from symgraph.engine.saving import load_weights
from symgraph.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Lambda,
    MaxPooling2D,
    add,
)
from symgraph.models import (
    Model,
    Sequential,
    clone_model,
    load_model,
    model_from_config,
    model_from_json,
    model_from_yaml,
)
from symgraph.utils.hdf5_reader import GuardedGroup

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "h5"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(1)


def _small(**kwargs):
    model = Sequential([Dense(4, input_shape=(3,), name="low", **kwargs), Dense(2, name="high")])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def _picture_model():
    x = Input((8, 8, 1), name="picture")
    inner = Sequential([Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)), BatchNormalization()])
    shared = Dense(5, activation="relu", name="shared")
    y = MaxPooling2D()(inner(x))
    first = shared(Flatten()(y))
    second = shared(Flatten()(y))
    return Model(x, [add([first, second]), Dense(2, name="other")(Dropout(0.5)(first))])


def _same_weights(a, b):
    found, expected = a.get_weights(), b.get_weights()
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# -- round trips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [False, True])
def test_models_come_back_whole(tmp_path, trained):
    x, y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
    model = _small(kernel_regularizer="l2")
    if trained:
        model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.h5")
    loaded = load_model(tmp_path / "model.h5")
    assert loaded.get_config() == model.get_config()
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.metrics_names == model.metrics_names
    _same_weights(loaded, model)
    # The state of the optimizer came along: both go on in the same way.
    for one in (loaded, model):
        one.train_on_batch(x, y)
    _same_weights(loaded, model)


def test_functional_models_with_parts_inside(tmp_path):
    model = _picture_model()
    x = RNG.normal(size=(3, 8, 8, 1)).astype("float32")
    model.save(tmp_path / "model.h5")
    with pytest.warns(UserWarning, match="No training configuration found"):
        loaded = load_model(tmp_path / "model.h5")
    for found, expected in zip(loaded.predict(x), model.predict(x), strict=True):
        np.testing.assert_array_equal(found, expected)
    for text in (
        model_from_json(model.to_json()),
        model_from_yaml(model.to_yaml()),
        model_from_config({"class_name": "Model", "config": model.get_config()}),
    ):
        assert text.get_config() == model.get_config()
        text.load_weights(tmp_path / "model.h5")
        np.testing.assert_array_equal(text.predict(x)[0], model.predict(x)[0])


def test_open_groups_memory_and_pickle(tmp_path):
    model = _small()
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        model.save(file.create_group("inside"))
        _same_weights(load_model(file["inside"]), model)
    with h5py.File(memory, "r") as file:
        _same_weights(load_model(file["inside"], compile=False), model)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        _same_weights(twin, model)
        assert twin.metrics_names == model.metrics_names


def test_losses_and_metrics_of_ones_own(tmp_path):
    def half(y_true, y_pred):
        return 0.5 * losses.mean_squared_error(y_true, y_pred)

    model = Sequential([Dense(1, input_shape=(3,))])
    model.compile("sgd", half, metrics=[half])
    model.save(tmp_path / "model.h5")
    assert load_model(tmp_path / "model.h5", {"half": half}).loss_functions == [half]
    with pytest.raises(ValueError, match="half"):
        load_model(tmp_path / "model.h5")
    assert load_model(tmp_path / "model.h5", compile=False).optimizer is None


def test_overwrite_asks(tmp_path, monkeypatch):
    model, path = _small(), tmp_path / "model.h5"
    path.write_text("old")
    monkeypatch.setattr("builtins.input", lambda question: "n")
    model.save(path, overwrite=False)
    model.save_weights(path, overwrite=False)
    assert path.read_text() == "old"
    monkeypatch.setattr("builtins.input", lambda question: "y")
    model.save(path, overwrite=False)
    _same_weights(load_model(path), model)


def test_an_error_while_saving_keeps_the_old_file(tmp_path, monkeypatch):
    model, path = _small(), tmp_path / "model.h5"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(model.optimizer, "get_config", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# -- Keras' layout -------------------------------------------------------------------------------------------


def test_the_layout_is_that_of_keras(tmp_path):
    model = _small()
    model.save(tmp_path / "model.h5")
    model.save_weights(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "model.h5", "r") as file, h5py.File(tmp_path / "weights.h5", "r") as bare:
        assert set(file.attrs) == {"keras_version", "backend", "model_config", "training_config"}
        assert (file.attrs["keras_version"], file.attrs["backend"]) == ("2.2.4", "tensorflow")
        assert json.loads(file.attrs["model_config"])["class_name"] == "Sequential"
        training = json.loads(file.attrs["training_config"])
        assert training["loss"] == "mse" and training["metrics"] == ["mae"]
        assert training["optimizer_config"]["class_name"] == "Adam"
        assert len(file["optimizer_weights"].attrs["weight_names"]) == 13
        for group in (file["model_weights"], bare):
            assert list(group.attrs["layer_names"]) == [b"low", b"high"]
            assert (group.attrs["backend"], group.attrs["keras_version"]) == ("tensorflow", "2.2.4")
            assert list(group["low"].attrs["weight_names"]) == [b"low/kernel:0", b"low/bias:0"]
            np.testing.assert_array_equal(group["low/low/kernel:0"], model.get_weights()[0])


def test_long_lists_of_names_are_cut(tmp_path):
    names = [f"layer_{i:04d}_" + "x" * 90 for i in range(1500)]
    with h5py.File(tmp_path / "names.h5", "w") as file:
        write_texts(file, "layer_names", names)
        write_texts(file, "none", [])
        assert set(file.attrs) == {"layer_names0", "layer_names1", "layer_names2", "none"}
        assert GuardedGroup(file, "file").texts("layer_names") == names
        assert GuardedGroup(file, "file").texts("none") == []
        with pytest.raises(RuntimeError, match="more than 64512"):
            write_texts(file, "huge", ["x" * (HDF5_OBJECT_HEADER_LIMIT + 1)])


# -- weights -------------------------------------------------------------------------------------------------


def test_weights_in_order(tmp_path):
    model = _small()
    model.save_weights(tmp_path / "weights.h5")
    other = Sequential([Dense(4, input_shape=(3,)), Dropout(0.5), Dense(2)])
    other.load_weights(tmp_path / "weights.h5")
    _same_weights(other, model)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([Dense(4, input_shape=(3,))], "containing 2 layers into a model with 1 layers"),
        (
            [Dense(4, input_shape=(3,), use_bias=False), Dense(2)],
            r"expects 1 weight\(s\), but the saved weights of low have 2",
        ),
        ([Dense(4, input_shape=(5,)), Dense(2)], r"expected shape \(5, 4\), got \(3, 4\)"),
        ([Dense(3, input_shape=(4,)), Dense(2)], r"expected shape \(4, 3\), got \(3, 4\)"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path, layers, match):
    _small().save_weights(tmp_path / "weights.h5")
    model = clone_model(Sequential(layers))
    before = model.get_weights()
    with pytest.raises(ValueError, match=match) as caught:
        model.load_weights(tmp_path / "weights.h5")
    assert str(tmp_path / "weights.h5") in str(caught.value)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_by_name(tmp_path):
    source = _small()
    source.save_weights(tmp_path / "weights.h5")
    model = Sequential([Dense(4, input_shape=(3,), name="low"), Dense(7, name="new"), Dense(3, name="high")])
    before = model.get_weights()
    with pytest.raises(ValueError, match="layer high"):
        model.load_weights(tmp_path / "weights.h5", by_name=True)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.warns(UserWarning, match="Skipping loading of weights for layer high"):
        model.load_weights(tmp_path / "weights.h5", by_name=True, skip_mismatch=True)
    after = model.get_weights()
    for i, (found, old) in enumerate(zip(after, before, strict=True)):
        np.testing.assert_array_equal(found, source.get_weights()[i] if i < 2 else old)
    with pytest.raises(ValueError, match="by_name"):
        model.load_weights(tmp_path / "weights.h5", skip_mismatch=True)


def test_weights_are_reshaped_on_demand(tmp_path):
    model = Sequential([Conv2D(2, (2, 3), input_shape=(6, 6, 1), name="c")])
    model.save_weights(tmp_path / "weights.h5")
    other = Sequential([Conv2D(2, (3, 2), input_shape=(6, 6, 1), name="c")])
    with pytest.raises(ValueError, match="expected shape"):
        other.load_weights(tmp_path / "weights.h5")
    for by_name in (False, True):
        other.load_weights(tmp_path / "weights.h5", reshape=True, by_name=by_name)
        np.testing.assert_array_equal(other.get_weights()[0].ravel(), model.get_weights()[0].ravel())


def test_kernels_that_theano_wrote_are_turned(tmp_path):
    inner = Sequential([Conv2D(2, 3, input_shape=(5, 5, 3))])
    model = Sequential([inner, Conv2D(4, (1, 2)), Flatten(), Dense(2)])
    expected = [np.flip(w, (0, 1)) if w.ndim == 4 else w for w in model.get_weights()]
    model.save_weights(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file.attrs["backend"] = b"theano"
    model.load_weights(tmp_path / "weights.h5")
    for found, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True},
        {"fletcher32": True},
        {"chunks": True},
        {"chunks": (2, 3), "shuffle": True},
    ],
)
def test_compressed_weights_are_read(tmp_path, options):
    model = _small()
    model.save_weights(tmp_path / "weights.h5")
    kernel = RNG.normal(size=(3, 4)).astype(">f8")
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        del file["low/low/kernel:0"]
        file["low/low"].create_dataset("kernel:0", data=kernel, **options)
    model.load_weights(tmp_path / "weights.h5")
    np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-6)


# -- files from strangers ------------------------------------------------------------------------------------


def _soft(file, folder):
    file["low/low/kernel:0"] = h5py.SoftLink("/high/high/kernel:0")


def _external_link(file, folder):
    file["low/low/kernel:0"] = h5py.ExternalLink(str(folder / "canary.h5"), "secret")


def _external_storage(file, folder):
    file["low/low"].create_dataset(
        "kernel:0", (3, 4), "f4", external=[(str(folder / "canary.bin"), 0, h5py.h5f.UNLIMITED)]
    )


def _virtual(file, folder):
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[...] = h5py.VirtualSource(str(folder / "canary.h5"), "secret", (3, 4))
    file["low/low"].create_virtual_dataset("kernel:0", layout)


def _shape_bomb(file, folder):
    file["low/low"].create_dataset("kernel:0", (2**20, 2**20), "f4", chunks=(64, 64), compression="gzip")


def _rank_bomb(file, folder):
    file["low/low"].create_dataset("kernel:0", (2**40,), "f8", chunks=(1024,))


def _chunk_bomb(file, folder):
    file["low/low"].create_dataset("kernel:0", (3, 4), "f4", chunks=(2**13, 2**13), maxshape=(None, None))


def _zip_bomb(file, folder):
    data = file["low/low"].create_dataset("kernel:0", (3, 4), "f4", chunks=(3, 4), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 26)))


def _twice_packed(file, folder):
    described = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    described.set_chunk((3, 4))
    described.set_deflate(9)
    described.set_deflate(9)
    space = h5py.h5s.create_simple((3, 4))
    data = h5py.h5d.create(file["low/low"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, described)
    data.write_direct_chunk((0, 0), zlib.compress(zlib.compress(bytes(48))))


def _texts(file, folder):
    file["low/low"].create_dataset("kernel:0", data=np.full((3, 4), "x", object))


def _lzf(file, folder):
    file["low/low"].create_dataset("kernel:0", data=np.zeros((3, 4)), compression="lzf")


def _group(file, folder):
    file["low/low"].create_group("kernel:0")


def _missing(file, folder):
    pass


def _other_layer(file, folder):
    file.attrs["layer_names"] = [b"low", b"absent"]


def _half_stored(file, folder):
    data = file["low/low"].create_dataset("kernel:0", (3, 4), "f4", chunks=(3, 2), compression="gzip")
    data[:, :2] = 1.0


def _not_stored(file, folder):
    file["low/low"].create_dataset("kernel:0", (3, 4), "f4")


def _names_bomb(file, folder):
    names = file["low"].attrs
    del names["weight_names"]
    file.attrs["filling"] = "x" * (1 << 20)
    kind = h5py.string_dtype()
    names.create("weight_names", np.array(["y"] * 4000, object), dtype=kind)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_soft, "SoftLink"),
        (_external_link, "ExternalLink"),
        (_external_storage, "external storage"),
        (_virtual, "virtual dataset"),
        (_shape_bomb, r"expected shape \(3, 4\)"),
        (_rank_bomb, r"expected shape \(3, 4\)"),
        (_chunk_bomb, "chunks of shape"),
        (_zip_bomb, "a chunk holds"),
        (_twice_packed, "packed more than once"),
        (_half_stored, "1 of 2 chunks"),
        (_not_stored, "only a part is stored"),
        (_texts, "expected an array of numbers"),
        (_lzf, "h5repack"),
        (_group, "expected a dataset"),
        (_missing, "there is no"),
        (_other_layer, "there is no 'absent'|there is no 'low/kernel:0'"),
        (_names_bomb, "too large"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_hostile_weights_are_refused(tmp_path, change, match, whole):
    with h5py.File(tmp_path / "canary.h5", "w") as canary:
        canary["secret"] = np.full((3, 4), 1234.5, "f4")
    (tmp_path / "canary.bin").write_bytes(np.full((3, 4), 1234.5, "f4").tobytes())
    model, path = _small(), tmp_path / "model.h5"
    (model.save if whole else model.save_weights)(path)
    with h5py.File(path, "a") as file:
        group = file["model_weights"] if whole else file
        del group["low/low/kernel:0"]
        change(group, tmp_path)
    before = model.get_weights()
    for by_name in (False, True):
        with pytest.raises(ValueError, match=match):
            model.load_weights(path, by_name=by_name)
    if whole:
        with pytest.raises(ValueError, match=match):
            load_model(path)
    for found, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, old)


def test_files_that_are_no_models(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_model(tmp_path / "absent.h5")
    with pytest.raises(OSError, match=r"text.h5 cannot be read as an HDF5 file"):
        load_model(tmp_path / "text.h5")
    model = _small()
    model.save_weights(tmp_path / "weights.h5")
    with pytest.raises(ValueError, match="No model found"):
        load_model(tmp_path / "weights.h5")
    for config, match in (
        ("{", "no JSON"),
        ("[" * 100_000, "nested deeper|no JSON"),
        ('{"class_name": "os.system", "config": {}}', "Unknown layer: os.system"),
        ('{"class_name": "Sequential"}', "config"),
        ("[]", "layer"),
    ):
        with h5py.File(tmp_path / "config.h5", "w") as file:
            file.attrs["model_config"] = config
            file.create_group("model_weights")
        with pytest.raises((ValueError, TypeError), match=match):
            load_model(tmp_path / "config.h5")


@pytest.mark.parametrize("claimed", [False, True])
def test_a_small_file_cannot_ask_for_large_weights(tmp_path, claimed):
    model, path = _small(), tmp_path / "model.h5"
    model.save(path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][0]["config"]["units"] = 2**40
        file.attrs["model_config"] = json.dumps(config)
        if claimed:
            del file["model_weights/low/low/kernel:0"]
            file["model_weights/low/low"].create_dataset("kernel:0", (3, 2**40), "f4", chunks=(3, 1024))
    with pytest.raises(
        ValueError, match=r"layer low: the weight kernel of shape \(3, 1099511627776\) is larger"
    ):
        load_model(path)


def test_names_that_are_repeated_do_not_enlarge_a_file(tmp_path):
    model, path = (
        Sequential([Dense(100, input_shape=(1000,), name="low", use_bias=False)]),
        tmp_path / "model.h5",
    )
    model.save(path)
    with h5py.File(path, "a") as file:
        group = file["model_weights"]
        group["also"] = group["low"]
        group["low"].attrs["weight_names"] = np.array([b"low/kernel:0"] * 1000)
        group.attrs["layer_names"] = np.array([b"low", b"also"] * 1000)
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][0]["config"]["units"] = 10_000
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ValueError, match=r"shape \(1000, 10000\) is larger than what the file holds"):
        load_model(path)


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (("units",), 2**60, r"layer low: the weight kernel of shape .* is larger than the memory"),
        (("units",), 10**400, r"layer low: the weight kernel of shape .* is larger than the memory"),
        (
            ("kernel_initializer", "config", "scale"),
            float("nan"),
            "layer low: the weight kernel .* cannot be made",
        ),
        (("kernel_initializer", "config"), 5, "initializer VarianceScaling: expected a dict, got 5"),
        (("dtype",), "9" * 5000, "dtype 9+ is not supported"),
        (("batch_input_shape",), [None, 10**30], "large"),
    ],
)
def test_numbers_that_are_too_large(place, value, match):
    config = json.loads(_small().to_json())
    inner = config["config"]["layers"][0]["config"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises((ValueError, TypeError), match=match):
        model_from_json(json.dumps(config))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_full_disk_keeps_the_old_file(tmp_path):
    """The limit on the size of files stands for a full disk; it needs a process of its own."""
    model, path = _small(), tmp_path / "model.h5"
    model.save(path)
    script = f"""
import os, resource, signal
from symgraph.models import load_model
model = load_model({str(path)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    model.save({str(path)!r})
except OSError as error:
    print("refused", error.errno == 27)
links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
print([os.readlink(link) for link in links if os.path.islink(link) and ".part" in os.readlink(link)])
"""
    before = path.read_bytes()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "refused True\n[]\n"), done.stderr
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_saving_keeps_a_whole_file(tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    model, path = _small(), tmp_path / "model.h5"
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.save(path)
    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(40):
            weights = [np.full_like(w, number) for w in model.get_weights()]
            model.set_weights(weights)
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 2e-4 * (number + 1))
                model.save(path)
                signal.setitimer(signal.ITIMER_REAL, 0)
            found = {float(value) for w in load_model(path).get_weights() for value in w.flat}
            assert len(found) == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path, cut):
    _small().save(tmp_path / "model.h5")
    content = (tmp_path / "model.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: int(len(content) * cut)])
    with pytest.raises((OSError, ValueError)):
        load_model(tmp_path / "cut.h5")


def test_random_damage_never_passes_unnoticed_into_shapes(tmp_path):
    model = _small()
    model.save_weights(tmp_path / "weights.h5")
    content = (tmp_path / "weights.h5").read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 8):
            damaged[place] = rng.integers(0, 256)
        try:
            load_weights(model, io.BytesIO(bytes(damaged)))
        except (ValueError, OSError):
            continue
        assert [w.shape for w in model.get_weights()] == [(3, 4), (4,), (4, 2), (2,)]


def test_stored_bytecode_is_refused_everywhere(tmp_path, monkeypatch):
    marker = tmp_path / "executed"
    model = Sequential(
        [
            Lambda(
                eval(f"lambda x: __import__('pathlib').Path({str(marker)!r}).touch() or x"),
                input_shape=(3,),
                name="payload",
            )
        ]
    )
    marker.unlink()
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.h5")
    written, yaml, pickled = model.to_json(), model.to_yaml(), pickle.dumps(model)
    config = json.loads(written)
    nested = {"class_name": "Sequential", "config": {"name": "x", "layers": [config]}}
    # What this process wrote would be taken for its own.
    monkeypatch.setattr(state, "_written_functions", {})
    entries = {
        "h5": lambda: load_model(tmp_path / "model.h5"),
        "json": lambda: model_from_json(written),
        "yaml": lambda: model_from_yaml(yaml),
        "config": lambda: model_from_config(config),
        "from_config": lambda: Sequential.from_config(config["config"]),
        "nested": lambda: model_from_config(nested),
        "pickle": lambda: pickle.loads(pickled),
    }
    for name, load in entries.items():
        with pytest.raises(ValueError, match="bytecode"):
            load()
        assert not marker.exists(), name
    assert load_model(tmp_path / "model.h5", {"payload": lambda x: x}, compile=False).output_shape == (
        None,
        3,
    )
    load_model(tmp_path / "model.h5", compile=False, safe_mode=False)
    assert marker.exists()


# -- training goes on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, decay=0.1, clipnorm=0.5),
        lambda: optimizers.RMSprop(0.01, decay=0.1),
        lambda: optimizers.Adagrad(0.1, decay=0.1),
        lambda: optimizers.Adadelta(decay=0.1),
        lambda: optimizers.Adam(0.01, decay=0.1, amsgrad=True),
        lambda: optimizers.Adamax(0.01, decay=0.1),
        lambda: optimizers.Nadam(0.01),
    ],
)
def test_training_goes_on_from_a_file(tmp_path, make):
    x, y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
    model = Sequential([Dense(4, activation="tanh", input_shape=(3,)), Dense(2)])
    model.compile(make(), "mse")
    for _ in range(4):
        model.train_on_batch(x, y)
    K.set_value(model.optimizer.lr, 0.5 * K.get_value(model.optimizer.lr))
    model.save(tmp_path / "model.h5")
    again = load_model(tmp_path / "model.h5")
    assert K.get_value(again.optimizer.iterations) == 4
    for _ in range(4):
        assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    _same_weights(again, model)
    with h5py.File(tmp_path / "model.h5", "a") as file:
        for name in ("iterations", "m_schedule"):
            if name in file["optimizer_weights"].attrs:
                del file["optimizer_weights"].attrs[name]
    # As in a file of Keras: the schedule of Nadam follows from the number of steps.
    bare = load_model(tmp_path / "model.h5").optimizer
    if isinstance(bare, optimizers.Nadam):
        momenta = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * step)) for step in (1, 2, 3, 4)]
        np.testing.assert_allclose(K.get_value(bare.m_schedule), np.prod(momenta), rtol=1e-6)
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file["optimizer_weights"].attrs["m_schedule"] = file["optimizer_weights"].attrs["iterations"] = (
            "x" * 9
        )
    if len(bare.further_state()):
        with pytest.raises(ValueError, match=r"model\.h5.*expected a number"):
            load_model(tmp_path / "model.h5")


def test_losses_that_files_do_not_keep(tmp_path):
    x = Input((3,))
    model = Model(x, Dense(2, activity_regularizer="l2")(x))
    model.compile("sgd", None)
    model.save(tmp_path / "model.h5")
    assert load_model(tmp_path / "model.h5").optimizer is not None
    model.add_loss(K.mean(K.square(model.output)))
    for loss, compiled in ((None, False), ("mse", True), ([None], False)):
        model.compile("sgd", loss)
        model.save(tmp_path / "model.h5")
        with pytest.warns(UserWarning, match="add_loss"):
            again = load_model(tmp_path / "model.h5")
        assert (again.optimizer is not None) is compiled
        _same_weights(again, model)
        with pytest.warns(UserWarning, match="add_loss"):
            _same_weights(pickle.loads(pickle.dumps(model)), model)


# -- YAML ----------------------------------------------------------------------------------------------------


def test_tuples_in_yaml_are_lists():
    text = Sequential([Dense(4, input_shape=(3,), name="d")]).to_yaml()
    assert "!!python" not in text
    tagged = text.replace(
        "batch_input_shape:\n      - null\n      - 3", "batch_input_shape: !!python/tuple [null, 3]"
    )
    assert tagged != text
    assert model_from_yaml(tagged).input_shape == (None, 3)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/object/new:os.system ['true']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:subprocess.Popen {}",
        "{class_name: !!python/name:eval, config: {}}",
        "!!python/tuple {a: 1}",
        "!custom 1",
        "&a [*a]",
        "a: &a {b: *a}",
        "[" * 5000,
        "a: [unclosed",
        "x" * 5_000_000,
        "[" + "1, " * 1_000_000 + "]",
        "a: 1" + ":59" * 1_000_000,
        "a: 1" + ":59" * 300 + ".5",
        "!!bool x",
        "!!timestamp x",
        "!!int ''",
        "2001-99-99",
        "\n".join(["a0: &a0 {b: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 60))]),
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ],
)
def test_yaml_that_is_no_model_is_refused(text):
    with pytest.raises(ValueError):
        model_from_yaml(text)


# -- copies --------------------------------------------------------------------------------------------------


def test_clones_have_weights_of_their_own():
    x = RNG.normal(size=(2, 8, 8, 1)).astype("float32")
    model = _picture_model()
    twin = clone_model(model)
    assert twin.get_config() == model.get_config()
    assert not np.array_equal(twin.get_weights()[0], model.get_weights()[0])
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin.predict(x)[1], model.predict(x)[1])
    assert not {id(w) for w in twin.weights} & {id(w) for w in model.weights}
    with pytest.raises(ValueError, match="functional or Sequential"):
        clone_model(Dense(2))


def test_clones_on_given_tensors():
    value = RNG.normal(size=(4, 3)).astype("float32")
    functional_input = Input((3,))
    functional = Model(functional_input, Dense(2)(functional_input))
    for model in (_small(), functional):
        for given in (Input((3,)), K.variable(value)):
            twin = clone_model(model, input_tensors=given)
            twin.set_weights(model.get_weights())
            found = twin.predict(value) if K.is_placeholder(given) else twin.predict(None, steps=1)
            np.testing.assert_allclose(found, model.predict(value), rtol=1e-6)
        with pytest.raises(ValueError, match="input_tensors"):
            clone_model(model, input_tensors=[Input((3,)), Input((3,))])
    between = Dense(3)(Input((3,)))
    with pytest.raises(ValueError, match="InputLayer"):
        clone_model(_small(), input_tensors=between)


# -- tf.keras ------------------------------------------------------------------------------------------------


def test_training_configurations_of_tf_keras(tmp_path):
    model = Sequential([Dense(3, activation="softmax", input_shape=(3,))])
    model.compile("rmsprop", "categorical_crossentropy")
    model.save(tmp_path / "model.h5")

    def rewrite(loss, metrics):
        config = {
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": None,
            "loss_weights": None,
            "optimizer_config": {
                "class_name": "RMSprop",
                "config": {"name": "R", "learning_rate": 0.25, "momentum": 0.0, "centered": False},
            },
        }  # fmt: skip
        with h5py.File(tmp_path / "model.h5", "a") as file:
            file.attrs["training_config"] = json.dumps(config)

    def described(class_name, **options):
        return {"class_name": class_name, "config": options}

    accuracy = described("MeanMetricWrapper", name="accuracy", fn="categorical_accuracy")
    squares = described("MeanSquaredError", name="mean_squared_error", dtype="float32")
    plain = described("CategoricalCrossentropy", from_logits=False, label_smoothing=0, reduction="auto")
    rewrite(plain, [[accuracy, squares]])
    loaded = load_model(tmp_path / "model.h5")
    assert loaded.metrics_names == ["loss", "acc", "mean_squared_error"]
    assert loaded.loss_functions == [losses.categorical_crossentropy]
    assert K.get_value(loaded.optimizer.lr) == pytest.approx(0.25)
    rewrite(
        "mse", [[described("AUC", name="auc", num_thresholds=9, multi_label=False), described("Precision")]]
    )
    loaded = load_model(tmp_path / "model.h5")
    auc, precision = loaded.stateful_metric_functions
    assert loaded.metrics_names == ["loss", "auc", precision.name] and auc.num_thresholds == 9
    rewrite("mse", [[described("AUC", name="auc", multi_label=True)]])
    with pytest.warns(UserWarning, match="AUC"):
        assert load_model(tmp_path / "model.h5").metrics_names == ["loss"]
    rewrite(described("CategoricalCrossentropy", from_logits=True, reduction="sum", axis=-1), [])
    loss = load_model(tmp_path / "model.h5").loss_functions[0]
    assert loss.get_config()["from_logits"] is True and loss.reduction == "sum"
    rewrite(described("CategoricalCrossentropy", from_logits=True, axis=1), [])
    with pytest.raises(ValueError, match=r"axis.*compile=False"):
        load_model(tmp_path / "model.h5")


def _keras_file(name):
    path = SHARED / f"{name}.h5"
    if not path.exists():
        pytest.skip(f"needs the collection of Keras files in {SHARED}, which is not part of this project")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "keras105_embedding_lstm",
        "keras111_conv1d_bilstm",
        "keras1_th_cnn_betago",
        "keras208_theano_cnn",
        "keras20_gender_xception",
        "keras214_deepbinner",
        "keras215_unet_seaship",
        "keras225_seq2seq_states",
        "tfk224_stackedgan_gen",
        "tfk240_resnet_cifar",
        "tfk270_lrcn_timedistributed",
    ],
)
def test_files_of_keras_and_tf_keras_predict_as_there(name, tmp_path):
    path = _keras_file(name)
    with warnings.catch_warnings():
        # Optimizers of other versions may have another state.
        warnings.filterwarnings(
            "ignore",
            "Error in loading the saved optimizer state|No training configuration|.*drops whole words",
        )
        if path.with_suffix(".json").exists():
            model = model_from_json(path.with_suffix(".json").read_text())
            model.load_weights(path)
        else:
            model = load_model(path)
    data = np.load(path.with_suffix(".npz"))
    inputs = [data[key] for key in sorted(data.files) if key.startswith("x")]
    found = model.predict(inputs)
    np.testing.assert_allclose(found, data["y0"], rtol=1e-3, atol=1e-4)
    _check_written(model, tmp_path / "again.h5")


def _check_written(model, path):
    """Saving gives every weight back bit for bit, in Keras 2's layout."""
    model.save(path)
    with h5py.File(path) as file:
        group = file["model_weights"]
        assert [name.decode() for name in group.attrs["layer_names"]] == [
            layer.name for layer in model.layers
        ]
        assert group.attrs["keras_version"] == file.attrs["keras_version"] == "2.2.4"
        assert json.loads(file.attrs["model_config"])["class_name"] == type(model).__name__
        for layer in model.layers:
            names = group[layer.name].attrs["weight_names"]
            stored = [group[layer.name][name][()] for name in names]
            assert len(stored) == len(layer.weights)
            held = {weight.tobytes() for weight in K.batch_get_value(layer.weights)}
            assert {array.tobytes() for array in stored} == held


def test_yaml_and_json_of_keras_1_are_the_same_model():
    path = _keras_file("keras1_th_cnn_betago")
    models = [
        model_from_json(path.with_suffix(".json").read_text()),
        model_from_yaml(path.with_suffix(".yaml").read_text()),
    ]
    assert models[0].get_config()["layers"] == models[1].get_config()["layers"]


def test_a_replacement_takes_the_place_of_stored_code(tmp_path):
    path = _keras_file("keras213_siamese_lambda")
    with pytest.raises(ValueError, match="bytecode"):
        load_model(path, compile=False)

    def distance(pair):
        return K.sqrt(K.maximum(K.sum(K.square(pair[0] - pair[1]), axis=1, keepdims=True), 1e-7))

    model = load_model(path, custom_objects={"lambda_1": distance}, compile=False)
    data = np.load(path.with_suffix(".npz"))
    np.testing.assert_allclose(model.predict([data["x0"], data["x1"]]), data["y0"], rtol=1e-3, atol=1e-4)
    _check_written(model, tmp_path / "again.h5")
