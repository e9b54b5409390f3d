"""Reports: every number is that of the facts, every text is escaped, and the page is whole."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers
from symgraph.inspection.report.advice import advise
from symgraph.inspection.report.charts import ticks
from symgraph.inspection.report.markup import breakable, element, percent, table
from symgraph.inspection.report.material import Numbers
from symgraph.inspection.report.page import page
from tests.inspection.made_facts import chain, facts, material, node, times

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("report")

VOID = {"meta", "link", "input", "br", "wbr", "hr", "img"}
SECTIONS = ("summary", "advice", "graph", "passes", "nodes", "arena", "roofline", "machine")


class Page(HTMLParser):
    """Checks that tags are balanced; collects ids, links and what a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.fetched: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.add(given["href"])
        self.fetched += [v for k, v in attrs if k in ("src", "srcset", "action", "data") and v]
        if tag == "link":
            self.fetched.append(given["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def two_layers():
    """slow: 1000 FLOP in 1 ms (bound: 25.6 ns of copies); fast: at its bound."""
    return facts(
        [
            node(0, "matmul", layer="slow", flops=1_000_000, bytes=10_000),
            node(1, "tanh", [0], layer="fast", flops=1000, bytes=100_000),
            node(2, "sum", [1], layer="fast", flops=100, bytes=1000, phase="backward"),
        ]
    )


def test_the_page_is_whole_and_fetches_nothing():
    made = two_layers()
    found = Page(page(material(made, times(made, [1e-3, 1e-5, 1e-7]))))
    assert [i for i in found.ids if i in SECTIONS] == list(SECTIONS)
    assert len(found.ids) == len(set(found.ids))
    assert found.fetched == ["data:,"]
    assert {link[1:] for link in found.links if link != "#_"} <= set(found.ids)


def test_names_are_escaped_everywhere():
    name = "<script>alert('x')</script>&\"<b>"
    made = facts([node(0, f"matmul[{name}]", layer=name), node(1, "tanh", [0], name=name, layer=name)], name)
    text = page(material(made, times(made, [1e-3, 1e-3])))
    found = Page(text)
    assert text.count("<script>") == 1
    assert any(name in word for word in found.words)
    assert {link[1:] for link in found.links if link != "#_"} <= set(found.ids)


def test_equal_material_makes_equal_pages():
    made = two_layers()
    assert page(material(made, times(made, [1e-3, 1e-5, 1e-7]))) == page(
        material(two_layers(), times(two_layers(), [1e-3, 1e-5, 1e-7]))
    )


def test_numbers_of_layers_are_sums_of_nodes():
    made = two_layers()
    numbers = Numbers(material(made, times(made, [1e-3, 1e-5, 1e-7], calls=7, coverage=0.8)))
    fast = numbers.clusters["fast"]
    assert fast.seconds == pytest.approx(1.01e-5)
    assert (fast.flops, fast.bytes) == (1100, 101_000)
    # The bound: each node's own, at 100 GFLOP/s and 10 GB/s.
    assert fast.least == pytest.approx(1e-5 + 1e-7)
    assert fast.attained == pytest.approx(1.0)
    assert numbers.call_seconds == pytest.approx((1e-3 + 1.01e-5) / 0.8)
    assert numbers.share(numbers.total) == pytest.approx(0.8)
    assert numbers.clusters["slow"].attained == pytest.approx(1e-5 / 1e-3)


def test_loops_are_counted_with_what_is_inside_of_them():
    made = facts(
        [
            node(0, "scan", layer="lstm", rows=(), flops=0, bytes=0),
            replace(node(1, "tanh", layer="lstm"), id="%0.1", inside="%0"),
        ]
    )
    numbers = Numbers(material(made, times(made, [2e-3])))
    assert numbers.clusters["lstm"].seconds == pytest.approx(2e-3)
    assert numbers.clusters["lstm"].flops == 1000


def test_unknown_operations_are_called_unknown():
    made = facts([node(0, "watch", layer="own", flops=None)])
    numbers = Numbers(material(made, times(made, [1e-3])))
    assert numbers.total.flops is None
    assert numbers.total.attained is None
    assert percent(numbers.total.attained) == "unknown"
    assert "unknown" in page(material(made, times(made, [1e-3])))


def test_advice_is_ranked_by_what_can_be_won():
    made = two_layers()
    measured = times(made, [1e-3, 3e-4, 1e-7])
    found = advise(Numbers(material(made, measured)))
    assert [a.title.split(":")[0] for a in found[:2]] == ["slow", "fast"]
    assert found[0].seconds == pytest.approx(1e-3 - 1e-5)
    assert found[0].title == "slow: 77 % of time at 1.0 % of roofline"
    assert "bound by arithmetic (100 FLOP a byte)" in " ".join(found[0].reasons)
    assert [a.seconds for a in found] == sorted((a.seconds for a in found), reverse=True)


def test_advice_tells_of_time_outside_of_rows():
    made = two_layers()
    found = advise(Numbers(material(made, times(made, [1e-3, 1e-5, 1e-7], coverage=0.5))))
    (outside,) = [a for a in found if a.title.startswith("outside of rows")]
    assert outside.seconds == pytest.approx(1.0101e-3)
    assert "less than 95 %" in page(material(made, times(made, [1e-3, 1e-5, 1e-7], coverage=0.5)))


def test_many_layers_that_are_slow_alike_get_one_piece_of_advice():
    made = facts([node(i, "matmul", layer=f"dense_{i}", type=f"float32({i},)") for i in range(9)])
    (found,) = advise(Numbers(material(made, times(made, [1e-3] * 9))))
    assert found.title.startswith("9 layers, most of it matmul, forward: 100 % of time")


def test_a_node_that_writes_over_its_input_names_it():
    made = facts([node(0, "matmul"), node(1, "tanh", [0]), node(2, "sum", [1])])
    places = ("arena+0", "arena+0", "arena+256")
    rows = [replace(r, results=(p,)) for r, p in zip(made.rows, places, strict=True)]
    numbers = Numbers(material(replace(made, rows=tuple(rows))))
    parents = [numbers.overwritten(n) for n in made.nodes]
    assert [p and p.id for p in parents] == [None, "%0", None]


def test_without_times_and_without_a_program():
    made = two_layers()
    assert "Nothing was measured" in page(material(made))
    bare = replace(made, rows=(), arena=(), arena_bytes=0, buffer_bytes=0, threads=0, shapes=None)
    bare = replace(
        bare, nodes=tuple(replace(n, rows=(), shapes=None, flops=None, bytes=None) for n in bare.nodes)
    )
    found = Page(page(material(bare)))
    assert any("no program yet" in word for word in found.words)


def test_a_chain_of_fifty_thousand_makes_a_page_of_bounded_size():
    made = chain(50_000)
    text = page(material(made, times(made, [1e-6] * 49_999)))
    assert len(text) < 30_000_000
    found = Page(text)
    assert [i for i in found.ids if i in SECTIONS] == list(SECTIONS)
    assert text.count('class="row"') == 5000
    assert "×49999" in text


def test_boxes_that_stand_for_others_show_the_time_of_all():
    given = node(0, "placeholder", role="input", name="x", rows=())
    layered = [node(i, "matmul", [i - 1], layer=f"l{i}") for i in range(1, 7)]
    made = facts([given, *layered, node(7, "tanh", [6], layer="last")])
    text = page(material(made, times(made, [1e-3] * 6 + [4e-3])))
    assert "×6" in text
    assert "all: 6 ms, 60 %" in text
    assert text.count("alike: ") == 6


@pytest.fixture(scope="module")
def trained():
    model = symgraph.Sequential(
        [layers.Dense(8, activation="relu", input_shape=(6,), name="hidden"), layers.Dense(2, name="out")]
    )
    model.compile("adam", "mse")
    x, y = np.ones((32, 6)), np.ones((32, 2))
    model.fit(x, y, 8, 1, verbose=0)
    with symgraph.profile() as profile:
        model.fit(x, y, 8, 2, verbose=0)
        model.predict(x)
    return model, profile


def test_a_function_writes_its_report(trained, tmp_path):
    model, profile = trained
    path = tmp_path / "model.html"
    model.train_function.report(path, profile, kernels=1)
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    (measured,) = [t for t in profile.functions if t.facts.name == "train_function"]
    assert f"mean of {measured.calls}" in text
    for row in measured.facts.rows:
        assert any(row.kernel in word for word in found.words)
    assert f"{__file__}:" in text, "the user's line"
    assert text.count("LLVM IR <small>") == 1
    numbers = Numbers(material(measured.facts, measured))
    assert sum(m.seconds for m in numbers.clusters.values()) * measured.calls == pytest.approx(
        sum(measured.row_seconds)
    )
    assert {link[1:] for link in found.links if link != "#_"} <= set(found.ids)


def test_a_model_reports_its_functions(trained, tmp_path):
    model, profile = trained
    model.report(tmp_path / "train.html", profile)
    model.report(tmp_path / "predict.html", profile, "predict")
    assert "train_function: symgraph report" in (tmp_path / "train.html").read_text(encoding="utf-8")
    assert "predict_function: symgraph report" in (tmp_path / "predict.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="report: expected one of train, test, predict, got 'fit'"):
        model.report(tmp_path / "x.html", function="fit")
    with pytest.raises(RuntimeError, match="compile"):
        symgraph.Sequential([layers.Dense(2, input_shape=(3,))]).report(tmp_path / "x.html")


def test_what_cannot_be_reported_is_said(trained, tmp_path):
    model, profile = trained
    with pytest.raises(ValueError, match=r"report: expected a path that ends in \.html, got '.*x\.txt'"):
        model.train_function.report(tmp_path / "x.txt")
    x = symgraph.placeholder((3,))
    other = symgraph.function([x], K.square(x), name="train_function")
    with pytest.raises(ValueError, match=r"calls of 'train_function', got .* \(another one of this name\)"):
        other.report(tmp_path / "x.html", profile)


def test_markup():
    assert element("p", "a", class_="b", data_x='"<') == '<p class="b" data-x="&quot;&lt;">a</p>'
    assert breakable("a+b<c>d") == "a+<wbr>b&lt;c&gt;<wbr>d"
    assert table(("n", "m"), [("1", "2")], (1,)).count('class="num"') == 2
    assert [percent(v) for v in (None, 0.0, 0.05, 0.5, 1.5)] == ["unknown", "0.0 %", "5.0 %", "50 %", "150 %"]
    for last in (1, 9, 52, 1502, 49_999):
        assert 2 <= len(ticks(last)) <= 14
        assert re.fullmatch(r"0|[1-9]\d*", str(ticks(last)[-1]))
