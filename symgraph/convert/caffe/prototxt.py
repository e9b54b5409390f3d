"""The text format of protocol buffers, in which Caffe describes networks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_MOST_BYTES = 16 << 20
_MOST_DEPTH = 32

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[fF]?(?![\w.]))
    |(?P<word>-?[A-Za-z_][\w.]*)
    |(?P<mark>[{}<>:;,\[\]])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CLOSING = {"{": "}", "<": ">"}
_FLOATS = {"inf", "-inf", "nan", "infinity", "-infinity"}


class Word(str):
    """A value without quotes: of an enumeration, true or false."""

    __slots__ = ()


class Message(dict[str, list["Value"]]):
    """The values of each field in their order, and the line where the message begins."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


Value = int | float | str | Message


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def read_prototxt(path: str | os.PathLike[str]) -> Message:
    """The message in a text file.

    Raises
    ------
    ValueError
        If the text is no message; with the number of the line.
    OSError
        If the file cannot be read.
    """
    file = Path(path)
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path}: {file.stat().st_size} bytes are too many for a prototxt")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a text, got bytes that are none: {error}") from None
    return parse_prototxt(text, str(path))


def parse_prototxt(text: str, path: str) -> Message:
    """The message that a text is; `path` is named in errors."""
    return _Parser(text, path).message("", 1, 0)


class _Parser:
    """Reads tokens by recursive descent, at most `_MOST_DEPTH` messages deep."""

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.tokens = self._tokens(text)
        self.next = next(self.tokens)

    def _tokens(self, text: str) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"{self.path}, line {line}: unexpected {text[at : at + 20]!r}")
            if found.lastgroup != "space":
                yield _Token(str(found.lastgroup), found.group(), line)
            line += found.group().count("\n")
            at = found.end()
        while True:
            yield _Token("end", "the end of the file", line)

    def _take(self) -> _Token:
        token = self.next
        self.next = next(self.tokens)
        return token

    def _wrong(self, expected: str) -> ValueError:
        return ValueError(f"{self.path}, line {self.next.line}: expected {expected}, got {self.next.text}")

    def message(self, closing: str, line: int, depth: int) -> Message:
        """Fields up to a closing bracket, or to the end of the file."""
        if depth > _MOST_DEPTH:
            raise ValueError(f"{self.path}, line {line}: more than {_MOST_DEPTH} messages inside each other")
        message = Message(line)
        while self.next.text != closing or self.next.kind != "mark":
            if self.next.kind == "end" and not closing:
                return message
            if self.next.kind != "word":
                raise self._wrong(f"the name of a field or {closing}" if closing else "the name of a field")
            name = self._take().text
            message.setdefault(name, []).extend(self._values(depth))
            if self.next.kind == "mark" and self.next.text in ",;":
                self._take()
        self._take()
        return message

    def _values(self, depth: int) -> list[Value]:
        """What follows the name of a field: a message, a value, or a list of either."""
        colon = self.next.text == ":" and self.next.kind == "mark"
        if colon:
            self._take()
        if self.next.kind == "mark" and self.next.text in _CLOSING:
            return [self._inner(depth)]
        if not colon:
            raise self._wrong("':' or '{'")
        if self.next.kind != "mark" or self.next.text != "[":
            return [self._single()]
        self._take()
        found: list[Value] = []
        while self.next.text != "]" or self.next.kind != "mark":
            if found:
                if self.next.text != ",":
                    raise self._wrong("',' or ']'")
                self._take()
            opens = self.next.kind == "mark" and self.next.text in _CLOSING
            found.append(self._inner(depth) if opens else self._single())
        self._take()
        return found

    def _inner(self, depth: int) -> Message:
        opening = self._take()
        return self.message(_CLOSING[opening.text], opening.line, depth + 1)

    def _single(self) -> Value:
        if self.next.kind == "number":
            return _number(self._take().text)
        if self.next.kind == "word":
            word = self._take().text
            return float(word) if word.lower() in _FLOATS else Word(word)
        if self.next.kind != "text":
            raise self._wrong("a value")
        parts = []
        while self.next.kind == "text":
            parts.append(_unescaped(self._take().text[1:-1]))
        return "".join(parts)


def _number(text: str) -> int | float:
    if re.fullmatch(r"[-+]?0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch(r"[-+]?0[0-7]+", text):
        return int(text, 8)
    return int(text) if re.fullmatch(r"[-+]?\d{1,18}", text) else float(text.rstrip("fF"))


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        body = found.group(1)
        if body[0] in "xX" and len(body) > 1:
            return chr(int(body[1:], 16))
        return chr(int(body, 8)) if body[0] in "01234567" else _ESCAPES.get(body, body)

    return re.sub(r"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", character, text)
