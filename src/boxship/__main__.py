"""``python -m boxship``."""

import sys

from boxship.cli.main import main

sys.exit(main())
