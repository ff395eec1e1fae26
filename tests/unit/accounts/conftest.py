"""What all account tests share: no counters left over, and passwords that are hashed quickly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django.fixtures import Settings


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Argon2 with as little work as it takes: what it costs an attacker is not what these tests are about."""
    settings.PASSWORD_HASHERS = ["support.accounts.QuickArgon2"]


@pytest.fixture
def no_counters(db: None) -> Iterator[None]:
    """Rate limits that begin at nothing."""
    cache.clear()
    yield
    cache.clear()
