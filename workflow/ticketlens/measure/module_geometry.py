"""Strides and padding of a torch module's convolutions, asked for without importing torch."""

from __future__ import annotations

from typing import Any


def is_module(source: Any) -> bool:
    """Whether `source` is a torch module, without importing torch."""
    return hasattr(source, "named_modules")


def geometry(module: Any) -> dict[str, Any]:
    """Return stride and padding of a module's convolutions. ValueError for what no family has."""
    found = [child for child in module.modules() if hasattr(child, "groups")]
    found = [child for child in found if hasattr(child, "kernel_size")]
    if not found:
        return {}
    paddings = set()
    for number, one in enumerate(found, start=1):
        side = one.kernel_size[0]
        padding = one.padding
        if isinstance(padding, str):  # "same" is half the kernel, without strides
            padding = (side // 2,) * 2 if padding == "same" else (0,) * len(one.kernel_size)
        for what, is_allowed in (
            ("is grouped", one.groups == 1),
            ("is dilated", set(one.dilation) == {1}),
            ("is transposed", not getattr(one, "transposed", False)),
            ("has another stride down than across", len(set(one.stride)) == 1),
            ("is not padded by half its kernel", tuple(padding) == (side // 2,) * 2),
            ("is padded otherwise", one.padding_mode in ("zeros", "circular")),
        ):
            if not is_allowed:
                raise ValueError(
                    f"convolution {number} {what}: q, chi and Jacobians are measured on chains "
                    "of plain convolutions only; without images weights and spectra are"
                )
        paddings.add(one.padding_mode)
    if len(paddings) > 1:
        raise ValueError(f"convolutions are padded in several ways: {sorted(paddings)}")
    return {"stride": [one.stride[0] for one in found], "padding": paddings.pop()}
