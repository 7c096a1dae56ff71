"""docs/precision.md word by word in numpy, without tables, layouts or vectors: slow and plain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ticketlens.training import ways

WAYS = [
    pytest.param(
        way,
        marks=pytest.mark.skipif(way not in ways.available(), reason=f"this machine lacks {way}"),
    )
    for way in ways.FLAGS
]
BLOCK = 32
F32, F64 = np.float32, np.float64
LEAST = F64(2.0**-126 * (1 - 2.0**-25))


def rounded(x):
    """float32 to bfloat16, as float32: to nearest, ties to even, zeros below 2^-126."""
    x = np.asarray(x, F32)
    bits = x.view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return np.where(np.abs(x) < F32(2.0**-126), np.copysign(F32(0), x), nearest.view(F32))


def flushed(exact):
    """float64 to float32, zeros below 2^-126."""
    near = exact.astype(F32)
    return np.where(np.abs(exact) < LEAST, np.copysign(F32(0), near), near)


def block(c, a, b):
    """c + (even + odd) over the last axis, of 32."""
    even, odd = (np.zeros(c.shape, F32) for _ in range(2))
    a, b = a.astype(F64), b.astype(F64)
    for k in range(0, BLOCK, 2):
        even = flushed(a[..., k] * b[..., k] + even)
        odd = flushed(a[..., k + 1] * b[..., k + 1] + odd)
    return flushed(c.astype(F64) + flushed(even.astype(F64) + odd))


def padded_channels(x, axis):
    """Fill an axis with zeros to a multiple of 32."""
    more = -x.shape[axis] % BLOCK
    return np.pad(x, [(0, more if i == axis % x.ndim else 0) for i in range(x.ndim)])


def at(x, rows, columns, padding):
    """x (…, height, width) at rows × columns; outside it goes around, or is 0."""
    height, width = x.shape[-2:]
    found = x[..., (rows % height)[:, None], columns % width]
    if padding == "circular":
        return found
    inside = ((rows >= 0) & (rows < height))[:, None] & (columns >= 0) & (columns < width)
    return np.where(inside, found, F32(0))


def products(sums, pixels, weights):
    """One step of (n, o, y, x) over 32 channels of pixels (n, 32, y, x), weights (o, 32)."""
    return block(sums, np.moveaxis(pixels, 1, -1)[:, None], weights[None, :, None, None, :])


def forward(x, w, stride, padding):
    """Sums (n, o, y, x) of rounded x (n, c, height, width), rounded w (o, c, k, k)."""
    x, w = padded_channels(x, 1), padded_channels(padded_channels(w, 0), 1)
    n, channels, height, width = x.shape
    k, y, c = w.shape[-1], np.arange(-(-height // stride)), np.arange(-(-width // stride))
    sums = np.zeros((n, len(w), len(y), len(c)), F32)
    for first in range(0, channels, BLOCK):
        part = slice(first, first + BLOCK)
        for ky in range(k):
            for kx in range(k):
                read = at(x[:, part], stride * y + ky - k // 2, stride * c + kx - k // 2, padding)
                sums = products(sums, read, w[:, part, ky, kx])
    return sums


def input_gradient(g, w, stride, padding, size):
    """Sums (n, c, height, width), from rounded g (n, o, y, x), rounded w (o, c, k, k)."""
    g, w = padded_channels(g, 1), padded_channels(padded_channels(w, 0), 1)
    k, (height, width) = w.shape[-1], size
    sums = np.zeros((len(g), w.shape[1], height, width), F32)
    for i in range(stride):
        for j in range(stride):
            y, x = np.arange(i, height, stride) // stride, np.arange(j, width, stride) // stride
            taps = sorted(
                (-((ky - k // 2 - i) // stride), -((kx - k // 2 - j) // stride), ky, kx)
                for ky in range(k) for kx in range(k)
                if (ky - k // 2 - i) % stride == 0 and (kx - k // 2 - j) % stride == 0
            )  # fmt: skip
            here = sums[:, :, i::stride, j::stride]
            for first in range(0, g.shape[1], BLOCK):
                part = slice(first, first + BLOCK)
                for down, right, ky, kx in taps:
                    read = at(g[:, part], y + down, x + right, padding)
                    here = products(here, read, w[part, :, ky, kx].T)
            sums[:, :, i::stride, j::stride] = here
    return sums


def pixel_blocks(values):
    """(…, height, width) to (…, blocks, 32), padded with zeros."""
    height, width = values.shape[-2:]
    side = max(2, 1 << (width - 1).bit_length())
    side = side if side <= BLOCK else -(-width // BLOCK) * BLOCK
    rows = max(1, BLOCK // side)
    more = [(0, 0)] * (values.ndim - 2) + [(0, -height % rows), (0, side - width)]
    padded = np.pad(values, more)
    return padded.reshape(*values.shape[:-2], -1, BLOCK)


def weight_gradient(x, g, k, stride, padding):
    """Sums (o, c, k, k) of rounded x (n, c, height, width), rounded g (n, o, y, x)."""
    rows, columns = (stride * np.arange(side) for side in g.shape[2:])
    sums = np.zeros((g.shape[1], x.shape[1], k, k), F32)
    for ky in range(k):
        for kx in range(k):
            read = at(x, rows + ky - k // 2, columns + kx - k // 2, padding)
            sums[:, :, ky, kx] = summed(sums[:, :, ky, kx], [read], g)
    return sums


def summed(sums, parts, g):
    """Sums (o, c) over images and blocks of pixels, in each over `parts` of x (n, c, y, x)."""
    blocks, g = [pixel_blocks(part) for part in parts], pixel_blocks(g)
    for image in range(len(g)):
        for number in range(g.shape[2]):
            for part in blocks:
                sums = block(sums, g[image, :, number][:, None], part[image, :, number][None])
    return sums


def unfolded(images, k, stride, padding):
    """(n, k² channels, y, x): what the first layer reads, in the order (row, column, channel)."""
    height, width = images.shape[2:]
    y, x = np.arange(-(-height // stride)) * stride, np.arange(-(-width // stride)) * stride
    reads = [
        at(images, y + ky - k // 2, x + kx - k // 2, padding) for ky in range(k) for kx in range(k)
    ]
    return np.concatenate(reads, axis=1)


def as_pixels(x):
    """(samples, neurons) as one map whose pixels are the samples."""
    return np.ascontiguousarray(x.T)[None, :, None]


def linear(x, w):
    """Sums (n, o) of rounded x (n, i), rounded w (o, i)."""
    return forward(as_pixels(x), w[:, :, None, None], 1, "zeros")[0, : len(w), 0].T


def linear_input_gradient(g, w):
    """Sums (n, i) of rounded g (n, o), rounded w (o, i)."""
    size = (1, len(g))
    found = input_gradient(as_pixels(g), w[:, :, None, None], 1, "zeros", size)
    return found[0, : w.shape[1], 0].T


def linear_weight_gradient(x, g):
    """Sums (o, i) of rounded x (n, i), rounded g (n, o)."""
    return weight_gradient(as_pixels(x), as_pixels(g), 1, 1, "zeros")[:, :, 0, 0]


def polynomial(t, coefficients):
    """Horner's scheme, highest first, every operation rounded."""
    value = np.full_like(t, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * t + F32(coefficient)
    return value


def tanh(x):
    """The rational function of the definition."""
    size = np.minimum(np.abs(x), F32(9.02))
    t = size * size
    p = polynomial(t, [F32(c) for c in (
        1.3319029835951421e-08, 2.0583449665467577e-05, 0.0034940326042797757, 0.13379716289210034,
        0.9999999790189312)])  # fmt: skip
    q = polynomial(t, [F32(c) for c in (
        7.762001826757171e-07, 0.00032830896622241737, 0.025871065741384855, 0.467130315303301,
        1.0)])  # fmt: skip
    return np.copysign(np.minimum(size * p / q, F32(1)), x)


def phi(kind, h):
    """Return y and the derivative, float32."""
    if kind == "tanh":
        y = tanh(h)
        return y, F32(1) - y * y
    if kind == "relu":
        return np.where(h <= 0, F32(0), h), np.where(h > 0, F32(1), F32(0))
    return h, np.ones_like(h)


def in_turn(values, axis=-1):
    """The sum along an axis, one after the other."""
    values = np.moveaxis(values, axis, 0)
    total = np.zeros(values.shape[1:], F32)
    for value in values:
        total = total + value
    return total


@dataclass
class Layer:
    """A convolution: weights (o, c, k, k), biases (o,), stride."""

    w: np.ndarray
    b: np.ndarray
    stride: int = 1


def by_logits(logits, labels):
    """The gradient of the mean cross-entropy, in float64: not part of what is compared in bits."""
    share = np.exp(logits.astype(F64) - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    share[np.arange(len(labels)), labels] -= 1
    return (share / len(labels)).astype(F32)


def maps(layers, images, kind, padding):
    """Forward: what each layer reads (rounded), the derivatives (rounded), the last y (float32)."""
    first = layers[0]
    k = first.w.shape[-1]
    high = rounded(images)
    parts = [unfolded(part, k, first.stride, padding) for part in (high, rounded(images - high))]
    w = np.moveaxis(first.w, 1, -1).reshape(len(first.w), -1, 1, 1)
    w_high = rounded(w)
    w_low = rounded(w - w_high)
    h = first_layer(parts, w_high, w_low)[:, : len(w)] + first.b[:, None, None]
    y, slope = phi(kind, h)
    reads, slopes = [rounded(y)], [rounded(slope)]
    for layer in layers[1:]:
        sums = forward(reads[-1], rounded(layer.w), layer.stride, padding)[:, : len(layer.w)]
        y, slope = phi(kind, sums + layer.b[:, None, None])
        reads.append(rounded(y))
        slopes.append(rounded(slope))
    return parts, reads[:-1], slopes, y


def first_layer(parts, w_high, w_low):
    """For each block of 32 inputs: high·high, low·high, high·low."""
    parts = [padded_channels(part, 1) for part in parts]
    w_high, w_low = (padded_channels(padded_channels(w, 0), 1) for w in (w_high, w_low))
    n, inputs, height, width = parts[0].shape
    sums = np.zeros((n, len(w_high), height, width), F32)
    for begin in range(0, inputs, BLOCK):
        one = slice(begin, begin + BLOCK)
        for part, w in ((parts[0], w_high), (parts[1], w_high), (parts[0], w_low)):
            sums = products(sums, part[:, one], w[:, one, 0, 0])
    return sums


def gradients(layers, images, kind, padding, slope):
    """Gradients of all weights and biases, from that by each pooled pixel, slope (n, o)."""
    parts, reads, slopes, _ = maps(layers, images, kind, padding)
    g = slope[:, :, None, None] * slopes[-1]
    sums = in_turn(in_turn(g.reshape(*g.shape[:2], -1)), 0)
    found = []
    for index in range(len(layers) - 1, -1, -1):
        layer, low = layers[index], rounded(g)
        if index == 0:
            o, c, k, _ = layer.w.shape
            flat = summed(np.zeros((o, c * k * k), F32), parts, low)
            by_weight = np.moveaxis(flat.reshape(o, k, k, c), -1, 1)
        else:
            read = reads[index - 1]
            by_weight = weight_gradient(read, low, layer.w.shape[-1], layer.stride, padding)
        found = [by_weight, sums, *found]
        if index:
            s = layer.stride
            back = input_gradient(low, rounded(layer.w), s, padding, read.shape[2:])
            g = back[:, : read.shape[1]] * slopes[index - 1]
            pixels = [g[:, :, i::s, j::s].reshape(*g.shape[:2], -1)
                      for i in range(s) for j in range(s)]  # fmt: skip
            sums = in_turn(in_turn(np.concatenate(pixels, axis=-1)), 0)
    return found


def linear_maps(layers, images, kind, is_residual):
    """Forward of (w, b): what each layer reads, the derivatives, the last y (float32)."""
    reads, slopes, trunk = [rounded(images)], [], F32(0)
    for index, (w, b) in enumerate(layers):
        h = linear(reads[-1], rounded(w)) + b
        if is_residual and index % 2 == 0:
            h = trunk = trunk + h
        y, slope = phi(kind, h)
        reads.append(rounded(y))
        slopes.append(rounded(slope))
    return reads[:-1], slopes, y


def linear_gradients(layers, images, kind, is_residual, slope):
    """Gradients of all weights and biases, from that by each y of the last layer, slope (n, o)."""
    reads, slopes, _ = linear_maps(layers, images, kind, is_residual)
    g = trunk = slope * slopes[-1]
    found = []
    for index in range(len(layers) - 1, -1, -1):
        low = rounded(g)
        found = [linear_weight_gradient(reads[index], low), in_turn(g, 0), *found]
        if index:
            g = linear_input_gradient(low, rounded(layers[index][0])) * slopes[index - 1]
            if is_residual and (index - 1) % 2 == 0:
                g = trunk = trunk + g
    return found
