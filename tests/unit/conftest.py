"""How the properties are tested: an example may take as long as a busy computer makes it."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
