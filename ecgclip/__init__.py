"""Contrastive pretraining of 12-lead ECGs and medical reports, Chinese first."""
import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

try: __version__ = version("ecgclip")
except PackageNotFoundError: __version__ = "0+unknown"


class _Package(ModuleType):
    "Tab completion that reads well: of a module its public names, of the package its modules, which are imported when they are asked for."
    def __setattr__(self, name, value):  # the import system puts a module here when it is loaded
        if isinstance(value, ModuleType) and hasattr(value, '__all__'): value.__dir__ = lambda: sorted(value.__all__)
        super().__setattr__(name, value)

    def __getattr__(self, name):
        from importlib import import_module
        if name.startswith('_') or name not in dir(self): raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        return import_module(f'{self.__name__}.{name}')

    def __dir__(self):
        from pkgutil import iter_modules
        return sorted(m.name for m in iter_modules(self.__path__) if not m.name.startswith('_')) + ['__version__']


sys.modules[__name__].__class__ = _Package
