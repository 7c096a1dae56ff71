"""The shipped config with overlays, for tests of what it means."""

from __future__ import annotations

from pathlib import Path

import yaml
from snakemake.utils import update_config

CONFIG = Path(__file__).resolve().parents[2] / "config"


def merged(*overlays: str) -> dict:
    """The full config with overlays (YAML texts), merged as `--configfile` merges them."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
    for overlay in overlays:
        update_config(config, yaml.safe_load(overlay))
    return config
