"""Side-by-side measurements against other libraries; run with ``make bench``."""
