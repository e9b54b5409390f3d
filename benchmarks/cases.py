"""Single kernels that engines are compared on: real layer shapes, told without any engine's words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One kernel call.

    `kind` is conv, conv_input, conv_weight, depthwise, matmul, max_pool, softmax, elementwise or update, or
    product: a matmul as users call it, which gives a new array. `shape` is [N, H, W, C] (conv, pooling),
    (M, K, N) (matmul, product) or the shape of the array. `multiply_adds` are
    those of the direct algorithm, 0 where they are not what counts.
    """

    kind: str
    shape: tuple[int, ...]
    filters: int = 0
    size: int = 0
    stride: int = 1
    padding: int = 0

    @property
    def name(self) -> str:
        """How tables call it."""
        text = "x".join(map(str, self.shape))
        if self.filters:
            text += f" -> {self.filters}, {self.size}x{self.size}"
        elif self.size:
            text += f", {self.size}x{self.size}"
        return f"{self.kind} {text}" + (f"/{self.stride}" if self.stride > 1 else "")

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the direct algorithm."""
        if self.kind in ("matmul", "product"):
            m, k, n = self.shape
            return m * k * n
        if not self.kind.startswith(("conv", "depthwise")):
            return 0
        batch, height, width, channels = self.shape
        out = [(s + 2 * self.padding - self.size) // self.stride + 1 for s in (height, width)]
        depth = 1 if self.kind == "depthwise" else channels
        return batch * out[0] * out[1] * (self.filters or channels) * depth * self.size**2


# The 3 by 3 layers of the classic networks, batch 32.
LAYERS = ((26, 32, 64), (72, 32, 64), (56, 64, 64), (34, 64, 128), (28, 128, 128), (14, 256, 256))


def cases() -> list[Case]:
    """Every case of the table."""
    found = [
        Case(kind, (32, side, side, channels), filters, 3)
        for side, channels, filters in LAYERS
        for kind in ("conv", "conv_input", "conv_weight")
    ]
    for kind in ("conv", "conv_input", "conv_weight"):
        found.append(Case(kind, (32, 28, 28, 128), 128, 1))
        found.append(Case(kind, (32, 27, 27, 64), 192, 5, 1, 2))
        found.append(Case(kind, (8, 224, 224, 3), 64, 7, 2, 3))
    found.append(Case("depthwise", (32, 56, 56, 64), 0, 3, 1, 1))
    found += [Case("matmul", (n, n, n)) for n in (32, 128, 512, 1024, 2048, 4096)]
    found += [Case("matmul", (128, 9216, 128)), Case("matmul", (32, 784, 784))]
    found += [
        Case("max_pool", (32, 72, 72, 64), 0, 2, 2),
        Case("softmax", (4096, 1000)),
        Case("elementwise", (4_000_000,)),
        Case("update", (4_000_000,)),
    ]
    return found


def products() -> list[Case]:
    """Square matrix products as users call them."""
    return [Case("product", (n, n, n)) for n in (128, 256, 512, 1024, 2048, 4096)]


def every_case() -> list[Case]:
    """All cases: what engines know by their numbers."""
    return [*cases(), *products()]
