"""Reports of real models in a real browser, with scripts and without."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph
from symgraph import layers
from symgraph.models import Model, mnist_cnn
from tests.inspection.browser import Browser, browser, missing

# One process opens one browser.
pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
    pytest.mark.xdist_group("browser"),
]
SECTIONS = ("summary", "advice", "graph", "passes", "nodes", "arena", "roofline", "machine")
ESCAPE, ENTER = "\ue00c", "\ue007"


def convolutions():
    model = mnist_cnn.build((28, 28, 1))
    return model, np.random.rand(32, 28, 28, 1), np.eye(10)[np.arange(32) % 10], model.layers[1].name


def residual():
    """53 convolutions in 16 blocks, as ResNet50 has, but narrow and on small pictures."""
    x = given = layers.Input((8, 8, 3))
    for stage, count in enumerate((3, 4, 6, 3)):
        width = 4 * (1 + stage)
        for block in range(count):
            y = x
            for filters, size in ((width, 1), (width, 3), (2 * width, 1)):
                y = layers.Conv2D(filters, size, padding="same")(y)
                y = layers.BatchNormalization()(y)
                y = layers.Activation("relu")(y) if filters == width else y
            x = x if block else layers.Conv2D(2 * width, 1)(x)
            x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.Dense(10, activation="softmax", name="classes")(layers.GlobalAveragePooling2D()(x))
    model = Model(given, x)
    model.compile("sgd", "categorical_crossentropy")
    return model, np.random.rand(8, 8, 8, 3), np.eye(10)[np.arange(8)], "classes"


def recurrent():
    model = symgraph.Sequential(
        [
            layers.Embedding(50, 8, input_length=6),
            layers.LSTM(5, name="memory"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, np.random.randint(0, 50, (32, 6)), np.random.randint(0, 2, (32, 1)), "memory"


@pytest.fixture(scope="module")
def window():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module", params=[convolutions, residual, recurrent])
def report(request, tmp_path_factory):
    """A report's path, and a layer that is in it."""
    model, x, y, layer = request.param()
    model.fit(x, y, 8, 1, verbose=0)
    with symgraph.profile() as profile:
        model.fit(x, y, 8, 1, verbose=0)
    path = tmp_path_factory.mktemp("report") / "model.html"
    model.train_function.report(path, profile, kernels=2)
    return path, layer


def anchor(layer: str) -> str:
    """Where a layer is in the page: what is no letter or digit is written by its code."""
    return "#layer-" + "".join(c if c.isalnum() else f"-{ord(c):x}-" for c in layer)


def target(window: Browser) -> str:
    return window.run("return location.hash")


def test_with_scripts(window, report):
    path, layer = report
    window.open(path)
    assert [e for e in window.log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
    assert window.requests() == [path.as_uri()]
    for section in SECTIONS:
        height = "return document.getElementById(arguments[0]).getBoundingClientRect().height"
        assert window.run(height, section) > 60

    # Search finds the layer and opens it.
    window.press("/")
    assert window.run("return document.activeElement.id") == "search"
    window.press(layer)
    found = window.run("return [...document.querySelectorAll('#found a')].map(a => a.textContent)")
    assert found and all(layer in text for text in found)
    window.press(ENTER)
    assert target(window) == anchor(layer)
    assert window.shown(f"{anchor(layer)} .drawing")

    # A click on a node of the drawing shows its page, Escape closes it.
    window.click(f"{anchor(layer)} .drawing a[href^='#n']")
    page = target(window)
    assert page.startswith("#n") and window.shown(page)
    assert window.shown(anchor(layer)), "the layer stays open"
    window.press(ESCAPE)
    assert not window.shown(page)

    # j goes on to the next node of the list, k back.
    window.click("#list .row:not(.head) a")
    first = target(window)
    window.press("j")
    second = target(window)
    assert second != first and window.shown(second) and not window.shown(first)
    window.press("k")
    assert target(window) == first

    # A click on a head sorts.
    window.press(ESCAPE)
    window.click("#list .row.head b:nth-child(3)")
    names = window.run(
        "return [...document.querySelectorAll('#list .row:not(.head)')].map(r => r.children[2].textContent)"
    )
    assert names == window.run("return arguments[0].slice().sort((a, b) => a.localeCompare(b))", names)
    assert [e for e in window.log("browser") if e["level"] == "SEVERE"] == []
    assert window.requests() == []


def test_without_scripts(window, report):
    path, layer = report
    window.open(path, scripts=False)
    assert window.run("return document.documentElement.className") == ""
    for section in SECTIONS:
        assert window.run("return document.getElementById(arguments[0]).innerText.length", section) > 40, (
            section
        )
    assert not window.shown("#search")

    # Links open layers and nodes; colours are chosen.
    window.click(f".overview a[href='{anchor(layer)}']")
    assert window.shown(f"{anchor(layer)} .drawing")
    window.click(f"{anchor(layer)} .drawing a[href^='#n']")
    page = target(window)
    assert window.shown(page)
    window.click(f"{page} .close")
    assert not window.shown(page)
    fill = "return getComputedStyle(document.querySelector('.overview .t6 .b')).fill"
    before = window.run(fill)
    window.click("label[for='by-bytes']")
    assert window.run(fill) != before
    assert window.requests() == [path.as_uri()]


def test_a_kernel_shows_its_code(window, report):
    path, _ = report
    window.open(path)
    window.run("location.hash = '#k0'")
    assert window.shown("#k0")
    window.click("#k0 details:last-of-type summary")
    assert window.shown("#k0 details:last-of-type pre")
    assert "ret" in window.run("return document.querySelector('#k0 details:last-of-type pre').textContent")


def test_it_fits_small_screens_and_paper(window, report):
    path, _ = report
    for width in (390, 1300):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        window.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": size})
        window.open(path)
        assert window.run("return document.documentElement.scrollWidth") <= width
    window.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})
    media = {"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}}
    window.ask("POST", "/goog/cdp/execute", media)
    try:
        assert not window.shown("nav")
        assert window.shown("#summary") and window.shown("#roofline")
    finally:
        window.ask(
            "POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": ""}}
        )
