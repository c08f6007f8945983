"""The notebooks run from top to bottom, and their committed outputs are safe to publish.

`python -m tests.test_notebooks` runs them and keeps their output.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch  # placeholder
