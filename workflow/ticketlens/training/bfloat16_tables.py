"""Which pixel meets which: the tables by which bfloat16.c convolves, as docs/precision.md defines.

A map is (images, blocks of 32 channels, pixels, 32). Its pixels are `planes` grids with margins: a
layer of stride s reads s² planes, plane (i, j) holding the pixels (s y + i, s x + j). On planes a
convolution of any stride is one of stride 1, and the grid of its output is that of its planes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BLOCK = 32
SLOT = 16
CHUNK = 8
"""Slots whose sums the products keep, of several images where one has fewer."""
GROUP = 8
"""Blocks of pixels that a weight gradient lays out at a time; no bit depends on it."""
ALIKE = 4
"""Pixels that AVX512-BF16 lays out at a time: views have a multiple of them."""
Table = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Layout:
    """How pixels of a map (height, width) stand in memory: planes of `stride`, `pad` margins."""

    height: int
    width: int
    stride: int = 1
    pad: int = 0

    @property
    def grid(self) -> tuple[int, int]:
        """Return rows and columns of one plane."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def pitch(self) -> int:
        """Return the pixels from one row of a plane to the next."""
        return self.grid[1] + 2 * self.pad

    @property
    def area(self) -> int:
        """Return the pixels of one plane."""
        return (self.grid[0] + 2 * self.pad) * self.pitch

    @property
    def pixels(self) -> int:
        """Return the pixels of all planes, margins included."""
        return self.stride**2 * self.area

    def place(self, plane: int, row: npt.ArrayLike, column: npt.ArrayLike) -> Table:
        """Return where the pixels at these rows and columns of a plane stand."""
        rows, columns = _int32(row) + self.pad, _int32(column) + self.pad
        return _int32(plane * self.area + rows * self.pitch + columns)

    def of_pixel(self, y: npt.ArrayLike, x: npt.ArrayLike) -> Table:
        """Return where the pixels (y, x) of the map stand."""
        s, rows, columns = self.stride, _int32(y), _int32(x)
        plane = rows % s * s + columns % s
        return _int32(self.place(0, rows // s, columns // s) + plane * self.area)

    def margins(self, padding: str) -> Table:
        """Return pairs (to, from) that fill the margins; none with zeros, which stay there."""
        if padding != "circular":
            return np.empty((0, 2), np.int32)
        s, (rows, columns) = self.stride, self.grid
        y, x = np.mgrid[-self.pad : rows + self.pad, -self.pad : columns + self.pad]
        pairs = []
        for plane in range(s * s):
            full_y, full_x = y * s + plane // s, x * s + plane % s
            outside = (full_y < 0) | (full_y >= self.height)
            outside |= (full_x < 0) | (full_x >= self.width)
            source = self.of_pixel(full_y % self.height, full_x % self.width)
            pairs.append(np.stack([self.place(plane, y, x)[outside], source[outside]], axis=1))
        return np.concatenate(pairs).astype(np.int32)


@dataclass(frozen=True)
class Pass:
    """Taps (offset in pixels, number of the weight), slots of 16 pixels, and where they go."""

    offset: Table
    weight: Table
    slot: Table
    to: Table
    aside: Table


@dataclass(frozen=True)
class Convolution:
    """Passes over one source, whose pixels are gathered anew before if `gather` is not empty."""

    source_pixels: int
    gather: Table
    passes: tuple[Pass, ...]
    margins: Table

    @property
    def together(self) -> int:
        """Return how many images fill a chunk of the products."""
        return max(1, CHUNK // len(self.passes[0].slot))

    @property
    def prepared_pixels(self) -> int:
        """Return the pixels of a block as the products read them."""
        return len(self.gather) or self.source_pixels


@dataclass(frozen=True)
class Weighing:
    """The tables of a weight gradient: views of the input, blocks of 32 pixels, the taps' offsets.

    Blocks are laid out in groups: `group` of an image, of `images` images. `view` is (groups of an
    image, pixels), `spread` (blocks * 32,), `offset` (taps, parts), `block` (images * group,), and
    `order` (taps,) that in which taps are taken, by view.
    """

    images: int
    group: int
    view: Table
    spread: Table
    offset: Table
    block: Table
    order: Table

    @property
    def blocks(self) -> int:
        """Return the blocks of 32 pixels of an image."""
        return len(self.spread) // BLOCK


def taps(kernel: int, stride: int) -> list[tuple[int, int, int]]:
    """Return (plane, row, column) of the planes' grid that each tap of a kernel reads at (0, 0)."""
    found = []
    for ky in range(kernel):
        for kx in range(kernel):
            y, x = ky - kernel // 2, kx - kernel // 2
            found.append((y % stride * stride + x % stride, y // stride, x // stride))
    return found


def margin(kernel: int, stride: int) -> int:
    """Return the margin that a kernel needs around the planes of its input."""
    return max(max(abs(row), abs(column)) for _, row, column in taps(kernel, stride))


def forward(source: Layout, result: Layout, kernel: int, padding: str) -> Convolution:
    """Return the tables of a layer from `source` to `result`, the layout of what reads it."""
    reads = taps(kernel, source.stride)
    y, x = _raster(source.grid)
    to = result.of_pixel(y, x)
    return _convolution(
        source, [[(*read, number) for number, read in enumerate(reads)]], [(to, to)],
        result.margins(padding),
    )  # fmt: skip


def backward(gradient: Layout, source: Layout, below: Layout, kernel: int, padding: str
) -> Convolution:  # fmt: skip
    """Return the tables of the input gradient of a layer: one pass for each plane of its input.

    `gradient` is the layout of the gradient by the layer's output, `below` that of the one by the
    output of the layer before, `source` that of its input, where the derivatives stand.
    """
    reads: list[list[tuple[int, int, int, int]]] = [[] for _ in range(source.stride**2)]
    for number, (plane, row, column) in enumerate(taps(kernel, source.stride)):
        reads[plane].append((0, -row, -column, number))
    y, x = _raster(source.grid)
    targets = []
    for plane in range(source.stride**2):
        full_y = y * source.stride + plane // source.stride
        full_x = x * source.stride + plane % source.stride
        exists = (full_y < source.height) & (full_x < source.width)
        to = np.where(exists, below.of_pixel(full_y, full_x), -1)
        targets.append((to, source.place(plane, y, x)))
    return _convolution(
        gradient, [sorted(one, key=lambda tap: tap[1:3]) for one in reads], targets,
        below.margins(padding),
    )  # fmt: skip


def first(pixels: int, grid: tuple[int, int], result: Layout, padding: str) -> Convolution:
    """Return the tables of the first layer: its inputs unfolded, high and low parts of both.

    high·high, low·high, high·low: planes of the source are the images' parts, weights 0 and 1
    those of the weights.
    """
    y, x = _raster(grid)
    to = result.of_pixel(y, x)
    slot, to, aside = _slots(_int32(np.arange(pixels)), to, to)
    offset = np.array([0, pixels, 0], np.int32)
    one = Pass(offset, np.array([0, 0, 1], np.int32), slot, to, aside)
    return Convolution(2 * pixels, np.empty(0, np.int32), (one,), result.margins(padding))


def weighing(source: Layout, gradient: Layout, kernel: int) -> Weighing:
    """Return the tables of a weight gradient: from `source` to a map laid out as `gradient`.

    A view is what some taps read of a plane, row by row. Pixels are read in pairs: where rows are
    whole blocks, taps whose shifts differ by an even number share a view. Elsewhere each shift has
    its own, whose rows follow one another without a gap, since a block spans some.
    """
    groups, (rows, columns), pad = _Groups.of(gradient), source.grid, source.pad
    is_shared = groups.columns % BLOCK == 0 and groups.columns == columns
    reads = taps(kernel, source.stride)

    def key(plane: int, shift: int) -> tuple[int, int]:
        return plane, shift % 2 if is_shared else shift

    shifts: dict[tuple[int, int], list[int]] = {}
    for plane, _, shift in reads:
        shifts.setdefault(key(plane, shift), []).append(shift)
    keys = sorted(shifts)
    first = {one: min(shifts[one]) for one in keys}
    pitch = groups.columns + max(max(found) - min(found) for found in shifts.values())
    last = columns + pad if is_shared else columns
    height = groups.rows + 2 * pad

    def view(start: int) -> Table:
        row, column = np.mgrid[start - pad : start + groups.rows + pad, 0:pitch]
        parts = []
        for one in keys:
            shifted = column + first[one]
            inside = (row < rows + pad) & ((shifted if is_shared else column) < last)
            parts.append(np.where(inside, source.place(one[0], row, shifted), -1).ravel())
        return np.concatenate(parts)

    offset = [
        (keys.index(key(plane, shift)) * height + down + pad) * pitch
        + shift - first[key(plane, shift)]
        for plane, down, shift in reads
    ]  # fmt: skip
    return groups.weighing(view, _int32(offset)[:, None], pitch)


def first_weighing(pixels: int, gradient: Layout) -> Weighing:
    """Return the tables of the first layer's weight gradient: both parts of the unfolded images."""
    groups = _Groups.of(gradient)

    def view(start: int) -> Table:
        row, column = np.mgrid[start : start + groups.rows, 0 : groups.columns]
        inside = (row < gradient.height) & (column < gradient.width)
        high = np.where(inside, row * gradient.width + column, -1).ravel()
        return np.concatenate([high, np.where(high < 0, -1, high + pixels)])

    offset = np.array([[0, groups.rows * groups.columns]], np.int32)
    return groups.weighing(view, offset, groups.columns)


def unfolded(height: int, width: int, kernel: int, padding: str) -> Table:
    """Return (rows, columns) of the padded image: the image's pixel there, or -1 for 0."""
    pad = kernel // 2
    y, x = np.mgrid[-pad : height + pad, -pad : width + pad]
    if padding == "circular":
        return _int32(y % height * width + x % width)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return _int32(np.where(inside, y * width + x, -1))


def _convolution(
    source: Layout,
    reads: list[list[tuple[int, int, int, int]]],
    targets: list[tuple[Table, Table]],
    margins: Table,
) -> Convolution:
    """Passes over `reads` (plane, row, column, weight); the grid is that of a plane of `source`.

    Rows of a multiple of 16 pixels are read where they stand. Others are gathered first, without
    the margins between rows, one view for each shift within a row: a slot may then span rows.
    """
    (rows, columns), pad = source.grid, source.pad
    y, x = _raster((rows, columns))
    if columns % SLOT == 0:
        gather, base = np.empty(0, np.int32), source.place(0, y, x) - source.place(0, 0, 0)
        origin = int(source.place(0, 0, 0))
        offsets = [
            [origin + plane * source.area + row * source.pitch + column
             for plane, row, column, _ in one]
            for one in reads
        ]  # fmt: skip
    else:
        views = sorted({(plane, column) for one in reads for plane, _, column, _ in one})
        row_, column_ = np.mgrid[-pad : rows + pad, 0:columns]
        gather = np.concatenate(
            [source.place(plane, row_, column_ + shift).ravel() for plane, shift in views]
        )
        base = y * columns + x
        offsets = [
            [views.index((plane, column)) * row_.size + (row + pad) * columns
             for plane, row, column, _ in one]
            for one in reads
        ]  # fmt: skip
    passes = tuple(
        Pass(_int32(offset), _int32([number for *_, number in one]), *_slots(base, to, aside))
        for offset, one, (to, aside) in zip(offsets, reads, targets, strict=True)
    )
    return Convolution(source.pixels, _int32(gather), passes, margins)


def _slots(base: Table, to: Table, aside: Table) -> tuple[Table, Table, Table]:
    """Group pixels by 16, an even number of groups, filled up with pixels that go nowhere."""
    count = -(-len(base) // (2 * SLOT)) * 2 * SLOT
    more = count - len(base)
    first = np.asarray(base)[::SLOT]
    slot = np.concatenate([first, np.full(count // SLOT - len(first), first[-1])])
    nowhere = np.full(more, -1)
    to, aside = (_int32(np.concatenate([one, nowhere])) for one in (to, aside))
    return _int32(slot), to, aside


@dataclass(frozen=True)
class _Groups:
    """A gradient's map, padded so that blocks of 32 pixels are whole, and cut into groups of them.

    A group is `rows` of one image, or several whole images of few blocks.
    """

    rows: int
    columns: int
    starts: range
    images: int
    spread: Table

    @classmethod
    def of(cls, gradient: Layout) -> _Groups:
        columns = max(2, 1 << (gradient.width - 1).bit_length())
        if columns > BLOCK:
            columns = -(-gradient.width // BLOCK) * BLOCK
        least = max(1, BLOCK // columns)
        rows = -(-gradient.height // least) * least
        y, x = np.mgrid[0:rows, 0:columns]
        inside = (y < gradient.height) & (x < gradient.width)
        spread = _int32(np.where(inside, gradient.place(0, y, x), -1).ravel())
        some = min(rows, max(1, GROUP * BLOCK // columns))
        images = max(1, GROUP * BLOCK // (rows * columns))
        return cls(some, columns, range(0, rows, some), images, spread)

    def weighing(self, view: Callable[[int], Table], offset: Table, pitch: int) -> Weighing:
        """Return the tables, from the views of the group that starts at a row; even `pitch`."""
        views = _int32(np.stack([view(start) for start in self.starts]))
        views = np.pad(views, ((0, 0), (0, -views.shape[1] % ALIKE)), constant_values=-1)
        group = self.rows * self.columns // BLOCK
        pixel = np.arange(group) * BLOCK
        inside = pixel // self.columns * pitch + pixel % self.columns
        block = np.arange(self.images)[:, None] * views.shape[1] + inside
        return Weighing(
            self.images, group, views, self.spread, offset, _int32(block.ravel()),
            _int32(np.argsort(offset[:, 0], kind="stable")),
        )  # fmt: skip


def _raster(grid: tuple[int, int]) -> tuple[Table, Table]:
    y, x = np.mgrid[0 : grid[0], 0 : grid[1]]
    return y.ravel(), x.ravel()


def _int32(values: npt.ArrayLike) -> Table:
    return np.asarray(values, dtype=np.int32, order="C")
