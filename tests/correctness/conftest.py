"""The fixtures are those of the suite integration."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from async_fixtures import *  # noqa: E402, F403
from database_fixtures import *  # noqa: E402, F403
from redis_fixtures import *  # noqa: E402, F403
from resvd_fixtures import *  # noqa: E402, F403
from strategy_fixtures import *  # noqa: E402, F403
