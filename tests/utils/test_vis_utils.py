"""Pictures of models: labels and edges as Keras 2.2.4 has them."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

import symgraph
from symgraph import layers
from symgraph.models import Model
from symgraph.utils import plot_model
from symgraph.utils.vis_utils import layer_sketch, model_to_dot


def branched() -> Model:
    """A shared layer, a wrapper, and two branches that meet."""
    given = layers.Input((4, 3), name="given")
    shared = layers.Dense(2, name="shared")
    left = layers.TimeDistributed(shared, name="each")(given)
    right = layers.Dense(2, name="right")(given)
    twice = layers.Dense(2, name="twice")
    met = layers.Add(name="met")([twice(left), twice(right)])
    return Model(given, met, name="branched")


def labels(model, *options) -> list[str]:
    return ["\n".join([box.title, *box.lines]) for box in layer_sketch(model, *options).boxes]


def arrows(model) -> set[tuple[str, str]]:
    drawn = layer_sketch(model)
    names = {box.key: box.title.split(":")[0].split("(")[0] for box in drawn.boxes}
    return {(names[s], names[t]) for s, t in drawn.arrows}


def test_labels_are_those_of_keras():
    model = branched()
    assert sorted(labels(model)) == sorted(
        [
            "given: InputLayer",
            "each(shared): TimeDistributed(Dense)",
            "right: Dense",
            "twice: Dense",
            "met: Add",
        ]
    )
    assert "TimeDistributed(Dense)" in labels(model, False, False)
    shapes = labels(model, True)
    assert "right: Dense\ninput: (None, 4, 3)\noutput: (None, 4, 2)" in shapes
    assert "met: Add\ninput: [(None, 4, 2), (None, 4, 2)]\noutput: (None, 4, 2)" in shapes


def test_a_shared_layer_with_different_shapes_says_multiple():
    dense = layers.Dense(2, name="dense")
    a, b = layers.Input((3,)), layers.Input((5, 3))
    model = Model([a, b], [dense(a), dense(b)])
    assert "dense: Dense\ninput: multiple\noutput: multiple" in labels(model, True)


def test_arrows_are_those_of_the_network():
    model = branched()
    expected = {
        ("given", "each"),
        ("given", "right"),
        ("each", "twice"),
        ("right", "twice"),
        ("twice", "met"),
    }
    assert arrows(model) == expected
    # A call outside of this network is none of its business.
    model.get_layer("right")(layers.Input((4, 3), name="elsewhere"))
    assert arrows(model) == expected


def test_graph_of_a_model():
    model = branched()
    graph = model.graph
    assert set(graph.edges) == arrows(model)
    assert graph.nodes["right"]["params"] == 8
    assert graph.nodes["right"]["class_name"] == "Dense"
    assert graph.nodes["met"]["output_shape"] == (None, 4, 2)
    assert graph.edges["each", "twice"]["calls"] == (0,)
    assert graph.edges["right", "twice"]["calls"] == (1,)


def test_a_sequential_model_that_is_not_built_has_layers_and_no_arrows():
    model = symgraph.Sequential([layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    assert labels(model, True) == [
        "a: Dense\ninput: multiple\noutput: multiple",
        "b: Dense\ninput: multiple\noutput: multiple",
    ]
    assert layer_sketch(model).arrows == ()
    assert "<svg" in model._repr_html_()


@pytest.mark.parametrize("name", ["model.png", "model"])
def test_plot_model_writes_png(tmp_path, name):
    plot_model(branched(), str(tmp_path / name), show_shapes=True)
    across = tmp_path / "across.png"
    plot_model(branched(), across, rankdir="LR")
    with Image.open(tmp_path / name) as down, Image.open(across) as other:
        assert down.format == other.format == "PNG"
        assert other.size[0] / other.size[1] > 2 * down.size[0] / down.size[1]


def test_plot_model_writes_svg_and_dot(tmp_path):
    plot_model(branched(), tmp_path / "m.svg")
    titles = [e.text for e in ElementTree.parse(tmp_path / "m.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert "right: Dense" in titles
    plot_model(branched(), tmp_path / "m.dot")
    assert (tmp_path / "m.dot").read_text() == model_to_dot(branched()).to_string()


def test_what_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match="expected one of the formats dot, png, svg, got 'pdf'"):
        plot_model(branched(), tmp_path / "m.pdf")
    with pytest.raises(ValueError, match="rankdir: expected one of TB, BT, LR, RL, got 'X'"):
        plot_model(branched(), tmp_path / "m.svg", rankdir="X")


def test_what_scripts_in_notebooks_do():
    picture = model_to_dot(branched()).create(prog="dot", format="svg")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    with Image.open(io.BytesIO(model_to_dot(branched()).create(format="png"))) as image:
        assert image.format == "PNG"
