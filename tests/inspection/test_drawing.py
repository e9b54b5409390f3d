"""Drawings of graphs: what is in them, and files that other programs can read."""

from __future__ import annotations

import io
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import symgraph
from symgraph import layers
from symgraph.inspection.draw.dot import Dot, dot, rendered
from symgraph.inspection.draw.drawing import Box, Group, Sketch, place, text_width
from symgraph.inspection.draw.outline import Outline, inside, sketch, slug
from symgraph.inspection.draw.palette import KINDS, layer_kind, op_kind
from symgraph.inspection.draw.png import png
from symgraph.inspection.draw.svg import svg
from symgraph.inspection.draw.wrap import wrapped
from tests.inspection.made_facts import chain, facts, node

NAMESPACE = "{http://www.w3.org/2000/svg}"
NASTY = "a<b>&\"c'"


@pytest.fixture(scope="module")
def network():
    """A network with four equal layers in a row, trained for one step."""
    model = symgraph.Sequential([layers.Dense(6, activation="relu", input_shape=(6,), name="first")])
    for i in range(4):
        model.add(layers.Dense(6, activation="tanh", name=f"same_{i}"))
    model.add(layers.Dense(2, activation="softmax", name="last"))
    model.compile("sgd", "categorical_crossentropy")
    model.train_on_batch(np.ones((4, 6)), np.eye(2)[[0, 1, 0, 1]])
    return model


def three_layers():
    """Two layers, one of which has a backward node, and an update."""
    return facts(
        [
            node(0, "placeholder", role="input", name="x", rows=()),
            node(1, "variable", role="variable", name="one/kernel:0", rows=()),
            node(2, "matmul", [0, 1], layer="one"),
            node(3, "tanh", [2], layer="two"),
            node(4, "fused[mul+sub]", [3, 2], layer="one", phase="backward"),
            node(5, "fused[mul+sub]", [4, 1], layer="training/SGD", phase="update"),
        ]
    )


def texts(xml: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(xml).iter(f"{NAMESPACE}text")]


def test_one_box_a_layer_with_counts():
    drawn = sketch(Outline(three_layers()))
    boxes = {box.key: box for box in drawn.boxes}
    assert set(boxes) == {"%0", "one", "two", "training/SGD"}
    assert boxes["one"].lines == ("float32(4, 8)", "2 nodes: 1 forward, 1 backward")
    assert boxes["training/SGD"].lines == ("1 node, update",)
    assert set(drawn.arrows) == {("%0", "one"), ("one", "two")}


def test_opened_layers_show_all_their_nodes():
    drawn = sketch(Outline(three_layers()), ["one"])
    assert {box.key for box in drawn.boxes} == {"%0", "%2", "%4", "two", "training/SGD"}
    assert drawn.groups == (Group("one", ("%2", "%4")),)
    assert ("%2", "%4") in drawn.arrows
    everything = sketch(Outline(three_layers()), True)
    assert {box.key for box in everything.boxes} == {"%0", "%2", "%3", "%4", "%5"}
    assert ("%4", "%5") in everything.arrows


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"there is no layer 'three'; there are %0, one, two"):
        sketch(Outline(three_layers()), ["three"])


def test_layers_whose_work_was_taken_over_are_told_in_the_box():
    origins = ("layer conv (m.py:1)", "layer act (m.py:2)")
    made = facts(
        [
            node(0, "conv2d[relu]", layer="conv", origins=origins),
            node(1, "relu_gradient", [0], layer="act", phase="backward"),
        ]
    )
    (box,) = sketch(Outline(made)).boxes
    assert box.key == "conv"
    assert box.lines[0] == "with act"
    assert box.lines[-1] == "2 nodes: 1 forward, 1 backward"


def test_nodes_taken_out_of_a_layer_go_back_to_it():
    nodes = [node(0, "gather", layer="words"), node(1, "matmul", [0]), node(2, "scan", [1], layer="lstm")]
    made = facts(nodes)
    assert [box.key for box in sketch(Outline(made)).boxes] == ["words", "lstm"]


def test_equal_layers_are_drawn_once(network):
    function = network.train_function
    drawn = sketch(Outline(function.facts()))
    folded = [box for box in drawn.boxes if box.badge]
    assert [(box.title, box.badge, box.also) for box in folded] == [
        ("same_0", "×4", ("same_1", "same_2", "same_3"))
    ]
    assert {box.title for box in drawn.boxes} >= {"first", "last"}


def test_equal_updates_inside_a_layer_are_drawn_once():
    nodes = [
        node(i, "fused[mul+sub]", layer="training/SGD", phase="update", type=f"float32({i},)")
        for i in range(5)
    ]
    drawn = inside(Outline(facts(nodes)), "training/SGD")
    (box,) = drawn.boxes
    assert box.badge == "×5"


def test_a_chain_of_fifty_thousand_is_one_box():
    drawn = sketch(Outline(chain(50_000)))
    assert [box.badge for box in drawn.boxes] == ["", "×49999"]
    assert place(drawn).height < 300


def test_more_boxes_than_can_be_drawn_are_put_together():
    nodes = [node(0, "matmul", layer="l0")]
    nodes += [node(i, "add", [i - 1, 0], layer=f"l{i}", type=f"float32({i},)") for i in range(1, 6000)]
    drawn = sketch(Outline(facts(nodes)))
    assert len(drawn.boxes) <= 260
    assert sum(int(re.match(r"\d+", box.lines[0])[0]) for box in drawn.boxes) == 6000
    assert [key for box in drawn.boxes for key in box.also] == [f"l{i}" for i in range(6000)]


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_directions(rankdir):
    picture = place(Sketch((Box("a", "a"), Box("b", "b")), (("a", "b"),)), rankdir)
    a, b = picture.boxes
    shift = {"TB": b.y - a.y, "BT": a.y - b.y, "LR": b.x - a.x, "RL": a.x - b.x}
    assert shift[rankdir] > 20
    assert picture.across == (rankdir in ("LR", "RL"))
    (start, *_, end) = picture.arrows[0].points
    side = 0 if picture.across else 1
    assert abs(end[side] - start[side]) == pytest.approx(42.0 if picture.across else 34.0)


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match=r"rankdir: expected one of TB, BT, LR, RL, got 'UP'"):
        place(Sketch((Box("a", "a"),), ()), "UP")


@pytest.mark.parametrize("themed", [False, True])
def test_svg_is_xml_and_keeps_every_letter(themed):
    boxes = (Box("a", NASTY, (NASTY,), tip=NASTY, link="#" + NASTY, badge="×2"), Box("b", "中文 µ"))
    xml = svg(place(Sketch(boxes, (("a", "b"),), (Group(NASTY, ("a",)),), NASTY)), themed)
    assert texts(xml).count(NASTY) == 3
    assert "中文 µ" in texts(xml)
    root = ElementTree.fromstring(xml)
    assert root.find(f"{NAMESPACE}a").get("href") == "#" + NASTY
    assert "<script" not in xml


def test_svg_has_no_colours_where_a_page_has_them():
    assert "fill=" not in svg(place(Sketch((Box("a", "a"),), ())), themed=True)


def test_text_stays_inside_of_boxes():
    # Widths of Helvetica, in thousandths, for a text in which they differ most.
    helvetica = {
        "i": 222,
        "l": 222,
        "W": 944,
        "M": 833,
        "e": 556,
        "_": 556,
        "(": 333,
        ",": 278,
        "1": 556,
        "a": 556,
    }
    for text in ("illicit", "WMWM", "dense_1", "(1, 1, 1)"):
        true = sum(helvetica.get(c, 556 if c != " " else 278) for c in text) * 10 / 1000
        assert true * 0.95 <= text_width(text, 10) <= true * 1.35


def test_png_has_the_colours_of_its_boxes():
    boxes = (Box("a", "first", kind="product"), Box("b", "second", ("line",), kind="loop", badge="×2"))
    drawn = Sketch(boxes, (("a", "b"),), (Group("frame", ("a", "b")),))
    picture = place(drawn)
    image = Image.open(io.BytesIO(png(picture, 2.0)))
    assert image.size == (round(2 * picture.width), round(2 * picture.height))
    for placed, kind in zip(picture.boxes, ("product", "loop"), strict=True):
        point = (2 * (placed.x + placed.width - 4), 2 * (placed.y + placed.height - 4))
        colour = image.convert("RGB").getpixel(tuple(map(int, point)))
        assert f"#{bytes(colour).hex()}" == KINDS[kind].fill
    assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    ink = np.asarray(image.convert("L"))
    box = picture.boxes[0]
    inner = ink[
        int(2 * box.y + 6) : int(2 * (box.y + box.height) - 6), int(2 * box.x + 6) : int(2 * (box.x + 60))
    ]
    assert inner.min() < 80, "the title is there"


def test_a_huge_png_is_made_smaller():
    boxes = tuple(Box(str(i), f"box {i}") for i in range(1500))
    picture = place(Sketch(boxes, tuple((str(i), str(i + 1)) for i in range(1499))))
    with Image.open(io.BytesIO(png(picture))) as image:
        assert max(image.size) <= 30_000
        assert image.size[0] * image.size[1] <= 40_100_000


def test_png_without_pillow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="PNG files need Pillow: pip install Pillow"):
        rendered(Sketch((Box("a", "a"),), ()), "png")
    assert rendered(Sketch((Box("a", "a"),), ()), "svg").startswith(b"<svg")


def parsed(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Labels and edges of DOT text, read back with the quoting rules of its grammar."""
    quoted = r'"((?:[^"\\]|\\.)*)"'

    def plain(value: str) -> str:
        return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)

    labels = {plain(k): plain(v) for k, v in re.findall(rf"^  {quoted} \[label={quoted}", text, re.MULTILINE)}
    edges = [(plain(a), plain(b)) for a, b in re.findall(rf"^  {quoted} -> {quoted};", text, re.MULTILINE)]
    return labels, edges


def test_dot_text_can_be_read_back():
    boxes = (Box('a"\\', NASTY, ("line \\n", "second")), Box("b", "b", badge="×3"))
    labels, edges = parsed(dot(Sketch(boxes, (('a"\\', "b"),), (Group("g", ("b",)),)), "LR"))
    assert labels == {'a"\\': f"{NASTY}\nline \\n\nsecond", "b": "b  ×3"}
    assert edges == [('a"\\', "b")]


def test_a_dot_object_writes_itself(tmp_path):
    graph = Dot(Sketch((Box("a", "a"),), ()))
    assert graph.create(prog="dot", format="svg").startswith(b"<svg")
    assert graph.write(tmp_path / "x.dot")
    assert (tmp_path / "x.dot").read_text() == graph.to_string() == str(graph)
    with pytest.raises(ValueError, match="expected one of the formats dot, png, svg, got 'pdf'"):
        graph.create(format="pdf")


def test_a_function_draws_itself(network, tmp_path):
    function = network.train_function
    for form in ("svg", "png", "dot"):
        function.draw(tmp_path / f"x.{form}")
        function.draw(tmp_path / f"y.{form}")
        assert (tmp_path / f"x.{form}").read_bytes() == (tmp_path / f"y.{form}").read_bytes()
    assert "first" in texts((tmp_path / "x.svg").read_text())
    function.draw(tmp_path / "z.svg", expand=["first"], rankdir="LR")
    assert any(t.startswith("%") for t in texts((tmp_path / "z.svg").read_text()))
    with pytest.raises(ValueError, match=r"formats dot, png, svg, got 'pdf'"):
        function.draw(tmp_path / "x.pdf")


def test_faces_in_notebooks_have_no_script(network):
    for shown in (network, network.train_function):
        assert ElementTree.fromstring(shown._repr_svg_()).tag == f"{NAMESPACE}svg"
        html = shown._repr_html_()
        ElementTree.fromstring(html.replace("&nbsp;", " "))
        assert "<script" not in html and "http://www.w3.org/2000/svg" in html


def test_graph_has_everything_that_is_known_of_nodes(network):
    function = network.train_function
    known = function.facts()
    graph = function.graph
    assert list(graph.nodes) == [n.id for n in known.nodes]
    for n in known.nodes:
        assert graph.nodes[n.id] == {field: getattr(n, field) for field in n.__dataclass_fields__}
        assert {s for s, _ in graph.in_edges(n.id)} == set(n.inputs)
    assert graph.graph["outputs"] == known.outputs


def test_kinds():
    assert op_kind("max") == "reduce"
    assert op_kind("maximum") == "element"
    assert op_kind("max_pool2d_gradient") == "pool"
    assert op_kind("conv2d_input_gradient") == "product"
    assert op_kind("anything", "variable") == "variable"
    assert layer_kind("GlobalMaxPooling2D") == "pool"
    assert layer_kind("Bidirectional(LSTM)") == "loop"
    assert layer_kind("MyLayer") == "other"


def test_long_names_are_wrapped_and_never_cut():
    name = "mul+add+" * 12 + "tanh"
    lines = wrapped(name, 20)
    assert "".join(lines) == name
    assert all(len(line) <= 20 for line in lines)
    assert wrapped("x" * 50, 20) == ["x" * 50]


def test_addresses_differ_where_names_do():
    names = ["a b", "a-b", "a/b", "a_b", "a-20-b"]
    assert len({slug(name) for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", slug(name)) for name in names)
