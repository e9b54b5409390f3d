"""The bundled sonnets: their form, and lines that everybody knows."""

from symgraph.datasets import sonnets


def test_each_has_fourteen_lines():
    text = sonnets.load_data()
    assert len(text) == 15_434
    assert text.isascii()
    poems = text.split("\n\n")
    assert [len(poem.strip().split("\n")) for poem in poems] == [14] * 25
    assert text.endswith(".\n")
    assert poems[0].startswith("From fairest creatures we desire increase,\n")
    assert poems[17].startswith("Shall I compare thee to a summer's day?\n")
    assert poems[17].endswith("So long lives this, and this gives life to thee.")
