"""Passwords are hashed cheaply in these tests; the one about the cost of hashing sets the real one."""

import argon2
import pytest

from cellwire.outputs.web import access


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with hardly any memory and time."""
    monkeypatch.setattr(access, "HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
