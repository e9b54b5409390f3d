"""The progress bar's text, against the text that Keras 2.2.4 prints."""

import io
import sys

import pytest

from symgraph.utils import progbar
from symgraph.utils.progbar import Progbar


class Screen(io.StringIO):
    """Standard output that may be a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is set."""
    now = [100.0]
    monkeypatch.setattr(progbar.time, "monotonic", lambda: now[0])
    return now


def printed(monkeypatch, terminal, run):
    screen = Screen(terminal)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        patch.delitem(sys.modules, "ipykernel", raising=False)
        run()
    return screen.getvalue()


def test_lines_where_there_is_no_terminal(monkeypatch, clock):
    def run():
        bar = Progbar(10, interval=0)
        clock[0] += 2
        bar.update(4, [("loss", 0.5), ("acc", 0.00025)])
        clock[0] += 3
        bar.update(10, [("loss", 1.0), ("acc", 0.00025)])

    assert printed(monkeypatch, False, run) == (
        "\n 4/10 [===========>..................] - ETA: 3s - loss: 0.5000 - acc: 2.5000e-04"
        "\n10/10 [==============================] - 5s 500ms/step - loss: 0.8000 - acc: 2.5000e-04\n"
    )


def test_a_terminal_is_redrawn_in_place(monkeypatch, clock):
    def run():
        bar = Progbar(2, width=4, interval=0)
        clock[0] += 100
        bar.update(1)
        bar.update(2)

    first = "1/2 [=>..] - ETA: 1:40"
    second = "2/2 [====] - 100s 50s/step"
    assert printed(monkeypatch, True, run) == "\r" + first + "\b" * len(first) + "\r" + second + "\n"


def test_blanks_cover_a_longer_drawing(monkeypatch, clock):
    def run():
        bar = Progbar(1, width=4, interval=0)
        clock[0] += 5000
        bar.update(0)
        bar.update(1, [])

    longer, shorter = "0/1 [....] - ETA: 0s", "1/1 [====] - 5000s 5000s/step"
    assert printed(monkeypatch, True, run).endswith(shorter + " " * (len(longer) - len(shorter)) + "\n")


def test_hours(monkeypatch, clock):
    def run():
        bar = Progbar(2, width=4)
        clock[0] += 7384
        bar.update(1)

    assert printed(monkeypatch, False, run) == "\n1/2 [=>..] - ETA: 2:03:04"


def test_drawings_keep_their_distance_but_the_last_is_drawn(monkeypatch, clock):
    def run():
        bar = Progbar(4, interval=1)
        for _ in range(4):
            clock[0] += 0.4
            bar.add(1)

    lines = printed(monkeypatch, False, run).split("\n")
    assert [line[:3] for line in lines if line] == ["1/4", "4/4"]


def test_unknown_target(monkeypatch, clock):
    def run():
        bar = Progbar(None)
        clock[0] += 0.01
        bar.update(5, [("loss", 3)])

    assert printed(monkeypatch, False, run) == "\n      5/Unknown - 0s 2ms/step - loss: 3.0000"


def test_one_line_at_the_end(monkeypatch, clock):
    def run():
        bar = Progbar(4, verbose=2)
        bar.update(2, [("loss", 0.1234), ("acc", 0.9)])
        clock[0] += 12
        bar.update(4, [("loss", 0.1234), ("acc", 1.0)])

    assert printed(monkeypatch, True, run) == " - 12s - loss: 0.1234 - acc: 0.9500\n"


def test_stateful_values_are_shown_as_they_are(monkeypatch, clock):
    def run():
        bar = Progbar(4, verbose=2, stateful_metrics=["auc"])
        bar.update(2, [("loss", 1.0), ("auc", 0.2)])
        bar.update(4, [("loss", 2.0), ("auc", 0.4)])

    assert printed(monkeypatch, False, run) == " - 0s - loss: 1.5000 - auc: 0.4000\n"


def test_silence_and_edges(monkeypatch, clock):
    assert printed(monkeypatch, True, lambda: Progbar(4, verbose=0).update(4, [("loss", 1)])) == ""
    assert "0/0 [==============================]" in printed(monkeypatch, True, lambda: Progbar(0).update(0))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        Progbar(1).update(1)
