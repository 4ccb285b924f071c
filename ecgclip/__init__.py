"""Contrastive pretraining of 12-lead ECGs and medical reports, Chinese first."""
from importlib.metadata import PackageNotFoundError, version

try: __version__ = version("ecgclip")
except PackageNotFoundError: __version__ = "0+unknown"
