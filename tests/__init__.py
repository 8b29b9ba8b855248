"""The tests. On a build machine hypothesis draws the same examples each time; elsewhere it looks for new ones."""

import os

try:
    from hypothesis import settings
except ImportError:
    # The tests that need it say so themselves.
    pass
else:
    settings.register_profile("build", derandomize=True)
    if os.environ.get("CI"):
        settings.load_profile("build")
