"""How hypothesis searches in these tests."""

from hypothesis import settings

# No clock: the machine may be busy. No file: the failing example is printed, and becomes a test.
settings.register_profile("suite", deadline=None, database=None)
settings.load_profile("suite")
