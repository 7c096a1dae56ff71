"""What a torch module says of its own chain, asked without importing torch.

Strides and padding of its convolutions, and the activation of its submodules.
"""

from __future__ import annotations

from typing import Any

from ticketlens.architecture import NotAChainError

NAMES = {"Tanh": "tanh", "ReLU": "relu", "Hardtanh": "hard_tanh", "Identity": "linear"}
"""Activations by the classes of torch.nn."""


def is_module(source: Any) -> bool:
    """Whether `source` is a torch module, without importing torch."""
    return hasattr(source, "named_modules")


def geometry(module: Any) -> dict[str, Any]:
    """Return stride and padding of a module's convolutions.

    Raises NotAChainError for what no family has.
    """
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
                raise NotAChainError(
                    f"convolution {number} {what}: q, chi and Jacobians are measured on chains "
                    "of plain convolutions only; without images weights and spectra are"
                )
        paddings.add(one.padding_mode)
    if len(paddings) > 1:
        raise NotAChainError(f"convolutions are padded in several ways: {sorted(paddings)}")
    return {"stride": [one.stride[0] for one in found], "padding": paddings.pop()}


def activation(module: Any) -> str | None:
    """Return the activation of a module's submodules, None where no submodule is one.

    A network of `networks.build` says its own. Raises NotAChainError for several, and for those of
    torch.nn that no family has.
    """
    own = getattr(module, "activation", None)
    if hasattr(module, "preactivations") and callable(own):
        name = getattr(own, "__name__", "")
        return {"hardtanh": "hard_tanh", "<lambda>": "linear"}.get(name, name)
    kinds = [type(child) for child in module.modules()]
    told = [kind.__name__ for kind in kinds if kind.__module__ == "torch.nn.modules.activation"]
    for name in told:
        if name not in NAMES:
            raise NotAChainError(
                f"activation {name} is not in the registry; allowed: "
                f"{', '.join(sorted(set(NAMES.values())))}, or activation= to take one of these"
            )
    found = dict.fromkeys(NAMES[name] for name in told)
    if len(found) > 1:
        raise NotAChainError(f"activations are several: {', '.join(found)}; a chain has one")
    return next(iter(found), None)
