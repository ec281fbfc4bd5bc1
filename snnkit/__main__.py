"""``python -m snnkit``."""

from .cli import main

raise SystemExit(main())
