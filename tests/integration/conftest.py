"""The fixtures are in …_fixtures.py, which the suite correctness uses too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from async_fixtures import *  # noqa: E402, F403
from async_promises import *  # noqa: E402, F403
from database_fixtures import *  # noqa: E402, F403
from redis_fixtures import *  # noqa: E402, F403
from resvd_fixtures import *  # noqa: E402, F403
from strategy_fixtures import *  # noqa: E402, F403
