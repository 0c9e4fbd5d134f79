"""Large blocks of memory are returned to the operating system."""

import ctypes
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from relay.server.memory import return_large_blocks


def test_glibc_maps_blocks_from_one_mebibyte_on(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return_large_blocks()
    library.mallopt.assert_called_once_with(-3, 1_048_576)


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    return_large_blocks()
