"""An index with a store, for the pages."""

from __future__ import annotations

import pytest

from support.publishing import FoundedIndex
from support.web import a_founded_index
from wheelmark.server.config import Config


@pytest.fixture
def index(config: Config, db: None) -> FoundedIndex:
    return a_founded_index()
