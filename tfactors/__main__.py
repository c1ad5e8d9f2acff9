"""``python -m tfactors`` is the ``tfactors`` command."""

import sys

from tfactors.cli import main

sys.exit(main())
