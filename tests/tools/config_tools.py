"""The shipped config with overlays, for tests of what it means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from ticketlens.study.config import SCHEMA, ConfigError, checked

CONFIG = Path(__file__).resolve().parents[2] / "config"


def merged(*overlays: str) -> dict:
    """The full config with overlays (YAML texts), merged as `--configfile` merges them."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
    for overlay in overlays:
        update_config(config, yaml.safe_load(overlay))
    return config


def problems(config: dict) -> list[str]:
    """The lines of the message, one per problem."""
    with pytest.raises(ConfigError) as caught:
        checked(config)
    first, *lines, last = str(caught.value).splitlines()
    assert first == f"the config has {len(lines)} problem(s):"
    assert last == "see config/README.md"
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


def schema() -> dict:
    """The schema that configs are checked by."""
    return json.loads(SCHEMA.read_text(encoding="utf-8"))
