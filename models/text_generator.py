"""A recurrent network that writes text, character by character, in the manner of what it has read.

    python -m symgraph.models.text_generator [--data FILE.txt] [--epochs N] [--temperatures 0.2 0.5 1]

An LSTM reads 40 characters and says how likely each character is to be the next. After every epoch it
continues a piece of the text: characters are drawn at random, at low temperatures the likely ones more often.
Without `--data` it reads 25 sonnets by Shakespeare, which come with the package.

The last tenth of the text is held out. The program prints the perplexity there (among how many equally likely
characters the network would have to guess to be as uncertain), beside that of two tables: how often each
character comes, and how often after which other one. It writes the model, a page of text and the curves into
`--out` (the curves only where matplotlib is there).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from symgraph.callbacks import Callback, History
from symgraph.datasets import sonnets
from symgraph.layers import LSTM, Dense, Dropout, Embedding
from symgraph.models import Model, Sequential
from symgraph.models.commands import CommandLine
from symgraph.optimizers import Adam

WINDOW = 40  # characters that the network sees
HELD_OUT = 0.1
LINE, PAGE = 60, 1000  # characters of a sample after an epoch, and of the text at the end


class Text:
    """A text as the numbers of its characters, in `training` and `held_out`: places in its `alphabet`.

    Raises
    ------
    ValueError
        If the text is too short for a window and a tenth.
    """

    def __init__(self, text: str) -> None:
        cut = len(text) - int(HELD_OUT * len(text))
        if len(text) - cut <= WINDOW:
            least = int((WINDOW + 1) / HELD_OUT)
            raise ValueError(f"a text should have at least {least} characters, got {len(text)}")
        self.alphabet = sorted(set(text))
        numbers = {character: number for number, character in enumerate(self.alphabet)}
        codes = np.array([numbers[character] for character in text])
        self.training, self.held_out = codes[:cut], codes[cut:]

    def written(self, codes: np.ndarray) -> str:
        """The characters of these numbers."""
        return "".join(self.alphabet[code] for code in codes)


def read(path: str | None) -> Text:
    """The text in a file; None: the bundled one. OSError or ValueError if there is none that will do."""
    if path is None:
        return Text(sonnets.load_data())
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return Text(Path(path).read_text("utf-8"))
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path} is no text in UTF-8: byte {error.start} is {byte:#04x}") from error


def windows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pieces of 40 characters that have a next one, (n, 40), and these, (n, 1)."""
    pieces = np.lib.stride_tricks.sliding_window_view(codes, WINDOW + 1)
    return pieces[:, :-1], pieces[:, -1:]


def build(characters: int, units: int = 128) -> Sequential:
    """A vector for each character, an LSTM that reads them, and the chances of the next character."""
    model = Sequential()
    model.add(Embedding(characters, 32, input_length=WINDOW))
    model.add(LSTM(units))
    model.add(Dropout(0.2))
    model.add(Dense(characters, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=Adam(0.003))
    return model


def cooled(chances: np.ndarray, temperature: float) -> np.ndarray:
    """Chances (n,) at a temperature, which divides their logarithms: less than 1 favours the likely."""
    # Float64: `choice` wants a sum of 1.
    with np.errstate(divide="ignore"):
        logarithms = np.log(chances.astype("float64")) / temperature
    powers = np.exp(logarithms - logarithms.max())
    return powers / powers.sum()


def generate(
    model: Model, start: np.ndarray, count: int, temperature: float, rng: np.random.RandomState
) -> np.ndarray:
    """Numbers of `count` characters that follow the window `start`, drawn one by one."""
    codes = list(start)
    for _ in range(count):
        chances = model.predict_on_batch(np.array([codes[-WINDOW:]]))[0]
        codes.append(int(rng.choice(len(chances), p=cooled(chances, temperature))))
    return np.array(codes[len(start) :])


class Samples(Callback):
    """Print what the network writes after every epoch, a line for each temperature."""

    def __init__(self, text: Text, temperatures: list[float], seed: int) -> None:
        super().__init__()
        self.text, self.temperatures, self.rng = text, temperatures, np.random.RandomState(seed)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        place = self.rng.randint(len(self.text.training) - WINDOW)
        start = self.text.training[place : place + WINDOW]
        print(f"   {self.text.written(start)!r} goes on:")
        for temperature in self.temperatures:
            codes = generate(self.model, start, LINE, temperature, self.rng)
            print(f"   {temperature:4g}: {self.text.written(codes)!r}")


def table_losses(text: Text) -> dict[str, float]:
    """Cross-entropy of the held-out text, nats a character, by tables counted in the rest.

    Each count has 0.1 added to it, since what has never come may come.
    """
    size = len(text.alphabet)
    seen, after = text.training, text.held_out
    single = np.bincount(seen, minlength=size) + 0.1
    pairs = np.full((size, size), 0.1)
    np.add.at(pairs, (seen[:-1], seen[1:]), 1)
    # The first 40 characters are what the network needs for its first guess.
    last, following = after[WINDOW - 1 : -1], after[WINDOW:]
    return {
        "single characters": -float(np.mean(np.log(single[following] / single.sum()))),
        "pairs of characters": -float(np.mean(np.log(pairs[last, following] / pairs.sum(axis=1)[last]))),
    }


def draw(history: History, tables: dict[str, float], path: Path) -> None:
    """The curves of the loss, and the losses of the tables as lines. ImportError without matplotlib."""
    figure = history.plot()
    (axes,) = figure.axes
    for number, (name, loss) in enumerate(tables.items()):
        axes.axhline(loss, linestyle="--", color=f"C{2 + number}", label=name)
    axes.set_title("loss, nats a character")
    axes.legend()
    figure.savefig(path, dpi=80)


def main(arguments: list[str] | None = None) -> float:
    """Train, sample, evaluate, write. Returns the perplexity of the held-out text."""
    what = "a text file, UTF-8 (default: the bundled sonnets)"
    line = CommandLine("text_generator", __doc__)
    line.add_data(what, (12, 12), (128, 128))
    usual, of_what = [0.2, 0.5, 1.0], "of the samples (default: 0.2 0.5 1)"
    line.add_argument("--temperatures", type=float, nargs="+", metavar="T", default=usual, help=of_what)
    options = line.options(arguments)
    for temperature in options.temperatures:
        if not 0 < temperature < float("inf"):
            line.error(f"--temperatures: expected positive numbers, got {temperature:g}")
    text = line.read(lambda: read(options.data))
    line.make_folder(options.out)
    np.random.seed(options.seed)
    model = build(len(text.alphabet))
    model.summary()
    history = model.fit(
        *windows(text.training),
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=2,
        validation_data=windows(text.held_out),
        callbacks=[Samples(text, options.temperatures, options.seed)],
    )
    tables = table_losses(text)
    losses = {"the network": history.history["val_loss"][-1], **tables}
    print("Perplexity of the held-out text (loss, nats a character):")
    for name, loss in losses.items():
        print(f"  {name:20} {np.exp(loss):6.2f} ({loss:.3f})")
    middle = sorted(options.temperatures)[len(options.temperatures) // 2]
    page = generate(model, text.training[-WINDOW:], PAGE, middle, np.random.RandomState(options.seed))
    (options.out / "page.txt").write_text(text.written(page) + "\n", encoding="utf-8")
    model.save(str(options.out / "model.h5"))
    written = ["page.txt", "model.h5"]
    try:
        draw(history, tables, options.out / "history.png")
        written.append("history.png")
    except ImportError as error:
        print("No curves:", error)
    for name in written:
        print("Wrote", options.out / name)
    return float(np.exp(losses["the network"]))


if __name__ == "__main__":
    main()
