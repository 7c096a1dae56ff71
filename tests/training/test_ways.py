"""Which way computes bfloat16: the fastest, or the one that is named; never silently another."""

from __future__ import annotations

import pytest

from ticketlens.training import bfloat16_library, compiled, ways


def test_plain_c_is_there_everywhere_and_the_fastest_comes_first(monkeypatch):
    monkeypatch.delenv(ways.VARIABLE, raising=False)
    assert ways.available()[-1] == "plain"
    assert ways.chosen() == ways.available()[0]


@pytest.mark.parametrize("way", ways.FLAGS)
def test_the_variable_chooses(monkeypatch, way):
    monkeypatch.setattr(ways, "available", lambda: tuple(ways.FLAGS))
    monkeypatch.setenv(ways.VARIABLE, way)
    assert ways.chosen() == way


def test_a_way_that_the_machine_lacks_is_an_error(monkeypatch):
    monkeypatch.setattr(ways, "available", lambda: ("avx2", "plain"))
    monkeypatch.setenv(ways.VARIABLE, "amx")
    with pytest.raises(ways.WayError, match="'amx', which this machine lacks; it has: avx2, plain"):
        ways.chosen()
    with pytest.raises(ways.WayError, match="it has: avx2, plain"):
        bfloat16_library.library.__wrapped__("amx")


def test_an_unknown_way_is_an_error(monkeypatch):
    monkeypatch.setenv(ways.VARIABLE, "sse")
    with pytest.raises(ways.WayError, match="is 'sse'; allowed: amx, avx512bf16, avx512, avx2"):
        ways.chosen()


def test_without_a_compiler_the_message_says_what_to_do(monkeypatch):
    def missing(*_):
        raise compiled.CompilerError("no C compiler found (looked for cc, gcc, clang)")

    monkeypatch.setattr(bfloat16_library, "library", missing)
    with pytest.raises(ValueError, match="'bfloat16': no C compiler found") as error:
        bfloat16_library.chosen_way()
    assert "install gcc or clang" in str(error.value)
    assert "training.precision to float32" in str(error.value)
