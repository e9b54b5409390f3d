"""From Python or LLVM IR to machine code at an address: the only file that calls numba's compiler.

A `Kernel` is one C entry `int64 entry(int64 *operands, int64 tile)`. It is compiled when its address is first
asked for, stored on disk under a key made of everything that shapes its code, and loaded from there next
time. Kernels never raise and never allocate: they return 0, or a positive status that `Kernel.errors` words.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.sigutils import normalize_signature
from numba.extending import intrinsic

from symgraph.kernels.run import cache as disk
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.builder import INT, Emit, entry_module, slot_module

__all__ = [
    "FLAGS",
    "INT",
    "Kernel",
    "helper",
    "inlined",
    "intrinsic",
    "ir_kernel",
    "numba_kernel",
    "types",
]

# No nnan/ninf: NaN and Inf have to come through as in the references.
FLAGS = {"contract", "reassoc", "nsz", "arcp"}
_SIGNATURE = types.int64(types.CPointer(types.int64), types.int64)
_lock = threading.RLock()
_FOLDER = Path(__file__).parents[1]
_PACKAGE = __name__.rpartition(".run")[0]


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function as callable from numba kernels (compiled into each of them)."""
    return numba.njit(error_model="numpy", fastmath=FLAGS, nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A helper whose body stands where it is called: nothing is compiled for it, and there is no call.

    What numba looks for after a call, an exception, refers to functions that are there only once numba has
    compiled something: a kernel that comes from the disk would crash if it met one.
    """
    return numba.njit(error_model="numpy", fastmath=FLAGS, nogil=True, inline="always")(function)


@cache
def _source_digest() -> str | None:
    """Hash of this package's sources, versions and target: part of every key. None without sources."""
    digest = hashlib.sha256()
    files = sorted(_FOLDER.rglob("*.py"))
    if not files:
        return None
    for file in files:
        digest.update(str(file.relative_to(_FOLDER)).encode() + file.read_bytes())
    for part in (numba.__version__, llvmlite.__version__, TARGET.cpu, TARGET.features, sorted(FLAGS)):
        digest.update(repr(part).encode())
    return digest.hexdigest()


class _Notice:
    """A line on the terminal while kernels are compiled, once that has taken more than a second in all."""

    patience = 1.0

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def compiling(self, name: str) -> Iterator[None]:
        """Show `name` while the body runs."""
        shown = self.seconds > self.patience and sys.stderr.isatty()
        if shown:
            sys.stderr.write(f"\r\x1b[Ksymgraph: compiling kernels, once for this machine: {name}")
            sys.stderr.flush()
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start
            if shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


_notice = _Notice()


class Kernel:
    """A machine-code entry, compiled on demand.

    Attributes
    ----------
    name : str
        What listings show, e.g. ``conv2d_forward[float32, relu]``.
    errors : mapping of int to str
        Meaning of each positive status that the entry can return.
    compile_seconds : float or None
        Time spent compiling in this process; None when not loaded yet, 0.0 when it came from the disk cache.
    loaded_at : float
        When it was loaded, by `time.perf_counter`.
    words : sequence of str
        Names of its first operands, as far as they have some.
    """

    def __init__(
        self,
        name: str,
        key: object,
        build: Callable[[str], str],
        source: Callable[[], str],
        errors: Mapping[int, str] | None = None,
        words: Sequence[str] = (),
        sources: str | None = "",
    ) -> None:
        self.name = name
        self._sources = sources
        self.words = tuple(words)
        self.errors = dict(errors or {})
        self.compile_seconds: float | None = None
        self.loaded_at = math.inf
        self._key = key
        self._build = build
        self._source = source
        self._address = 0
        self._engine: llvm.ExecutionEngine | None = None

    def __repr__(self) -> str:
        return f"<Kernel {self.name}>"

    @property
    def symbol(self) -> str:
        """The entry's name in object code: unique by content, so that no two kernels collide."""
        content = f"{self.name}|{self._key!r}|{_source_digest()}|{self._sources}"
        return "sg_" + hashlib.sha256(content.encode()).hexdigest()[:40]

    @property
    def address(self) -> int:
        """Address of the entry; compiles or loads it the first time."""
        if not self._address:
            with _lock:
                if not self._address:
                    self._load()
        return self._address

    def llvm(self) -> str:
        """The kernel's optimised LLVM IR, as text."""
        return self._build(self.symbol)

    def assembly(self, code: str | None = None) -> str:
        """The kernel's assembly for this machine's processor, as text.

        `code` is what `llvm()` returned, for those who have it: it takes long to make.
        """
        return TARGET.machine().emit_assembly(_parse(code or self.llvm()))

    def source(self) -> str:
        """The Python source that the kernel was made from."""
        return self._source()

    def _load(self) -> None:
        symbol = self.symbol
        known = self._sources is not None and _source_digest() is not None
        folder = disk.cache_folder() if known else None
        code = disk.load(folder, symbol)
        self.compile_seconds = 0.0
        address = 0 if code is None else self._link(code, symbol)
        if not address:
            start = time.perf_counter()
            with _notice.compiling(self.name):
                code = TARGET.machine().emit_object(_parse(self._build(symbol)))
            self.compile_seconds = time.perf_counter() - start
            address = self._link(code, symbol)
            if not address:
                raise RuntimeError(f"kernel {self.name}: its object code has no entry {symbol}")
            disk.store(folder, symbol, code)
        self._address = address
        self.loaded_at = time.perf_counter()

    def _link(self, code: bytes, symbol: str) -> int:
        """Take object code into memory: the address of its entry, 0 if it has none."""
        # LLVM does not check what it links: it is asked only for what has the name.
        if symbol.encode() not in code:
            return 0
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), TARGET.machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        return int(self._engine.get_function_address(symbol))


def _parse(text: str) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.verify()
    return module


def numba_kernel(
    name: str,
    function: Callable[..., Any],
    key: object = (),
    errors: Mapping[int, str] | None = None,
    slots: Mapping[str, Emit] | None = None,
    words: type | None = None,
) -> Kernel:
    """A kernel written in Python: ``function(operands, tile) -> status``, compiled by numba.

    `operands` is a pointer to int64 (addresses and sizes), `tile` an int64. `key` holds everything the
    function's closure and the slots were made from (dtype, block sizes, ...): it tells apart kernels of the
    same name. `slots` are the functions in LLVM IR that it calls, by their symbols; numba compiles the loops
    around them once, for all kernels that are made of them. `words` is the record of its first operands.
    """

    def build(symbol: str) -> str:
        with _lock:
            module = llvm.parse_assembly(_loops(function))
            for defined in module.functions:
                if defined.name.startswith("cfunc."):
                    defined.name = symbol
                elif not defined.is_declaration:
                    defined.linkage = llvm.Linkage.internal
            for called, emit in (slots or {}).items():
                _fill(module, called, emit)
            text = _optimised(str(module))
            if "@numba_" in text:
                raise AssertionError(f"kernel {name} may raise: by a step of a range, a division, an index?")
            return text

    sources = _other_sources([function, *(slots or {}).values()])
    names = words._fields if words else ()  # type: ignore[attr-defined]
    return Kernel(name, key, build, lambda: _source_of(function, slots or {}, words), errors, names, sources)


def _other_sources(codes: Sequence[Any]) -> str | None:
    """What tells apart versions of code that is not this package's: a digest of its files.

    Empty for the package's own, whose files are in every key. None where there is no file: such a kernel is
    not kept on the disk.
    """
    digest = ""
    for given in codes:
        code = _code_of(given)
        if str(code.__module__).startswith(f"{_PACKAGE}."):
            continue
        try:
            path = inspect.getsourcefile(code)
            digest = hashlib.sha256(digest.encode() + Path(path or "").read_bytes()).hexdigest()
        except (OSError, TypeError):
            return None
    return digest


def _source_of(function: Callable[..., Any], slots: Mapping[str, Emit], words: type | None) -> str:
    """A numba kernel to read: its words, its loops, their helpers of the same file, what fills its slots."""
    found = {function.__name__: function}
    waiting = [function]
    while waiting:
        one = waiting.pop(0)
        for name in one.__code__.co_names:
            helper = getattr(one.__globals__.get(name), "py_func", None)
            if helper is not None and helper.__module__ == function.__module__ and name not in found:
                found[name] = helper
                waiting.append(helper)
    listed = [_listed(words)] if words else []
    listed += [_listed(one) for one in found.values()]
    # One class may fill several slots.
    shown: set[Any] = set()
    for emit in slots.values():
        codes = [c for c in (getattr(emit, "record", None), _code_of(emit)) if c and c not in shown]
        listed.append("\n".join([f"# slot {emit}", *map(_listed, codes)]))
        shown.update(codes)
    return "\n\n".join(listed)


def _listed(code: Any) -> str:
    """The source of a function or class, below its file and line."""
    return f"# {_place_of(code)}\n{inspect.getsource(code)}"


def _code_of(emit: Any) -> Any:
    """The function, or the class of the object, that writes the body of a slot."""
    writer = getattr(emit, "write", emit)
    return writer if inspect.isfunction(writer) else type(writer)


def _place_of(code: Any) -> str:
    """The file and line of a function or class."""
    path = Path(inspect.getsourcefile(code) or "?")
    inside = path.is_relative_to(_FOLDER)
    shown = Path("symgraph/kernels", path.relative_to(_FOLDER)) if inside else path
    return f"{shown}:{inspect.getsourcelines(code)[1]}"


@cache
def _loops(function: Callable[..., Any]) -> str:
    """What numba makes of a kernel's function; kept on the disk, so that new sizes compile fast."""
    known = function.__module__.startswith(f"{_PACKAGE}.") and not function.__closure__
    folder = disk.cache_folder() if known and _source_digest() else None
    content = f"{function.__module__}.{function.__qualname__}|{_source_digest()}"
    key = "loops_" + hashlib.sha256(content.encode()).hexdigest()[:40]
    stored = disk.load(folder, key)
    if stored is not None:
        return stored.decode()
    text = _numba_code(function)
    disk.store(folder, key, text.encode())
    return text


def _numba_code(function: Callable[..., Any]) -> str:
    """LLVM IR of a kernel's function, not optimised yet where no helper is called."""
    options = {"error_model": "numpy", "fastmath": FLAGS}
    compiled = CFunc(function, normalize_signature(_SIGNATURE), {}, options)
    with global_compiler_lock:
        # Its own `compile` would go on to machine code, though the slots are still empty.
        library = compiled._compile_uncached().library  # type: ignore[attr-defined]
        if library._linking_libraries:
            library.finalize()
        return str(library.get_llvm_str())


def _fill(module: llvm.ModuleRef, symbol: str, emit: Emit) -> None:
    """Put the body of a function that is only declared into a module; it is inlined where it is called."""
    count = len(list(module.get_function(symbol).arguments))
    module.link_in(_parse(slot_module(symbol, count, emit)))
    module.get_function(symbol).linkage = llvm.Linkage.internal


def ir_kernel(
    name: str,
    emit: Emit,
    key: object,
    errors: Mapping[int, str] | None = None,
    source: Callable[..., Any] | None = None,
) -> Kernel:
    """A kernel generated as LLVM IR: ``emit(builder, function)`` fills the entry's body.

    `source` is the function to show for it, if it is not `emit`.
    """
    return Kernel(
        name,
        key,
        lambda symbol: _optimised(entry_module(symbol, emit)),
        lambda: inspect.getsource(source or emit),
        errors,
        sources=_other_sources([source or emit]),
    )


def _optimised(text: str) -> str:
    """`text` after LLVM's standard -O2 pipeline for the target."""
    module = _parse(text)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # Vectors are written, and what has to be unrolled is: more would only be more to compile.
    options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(TARGET.machine(), options)
    builder.getModulePassManager().run(module, builder)
    return str(module)
