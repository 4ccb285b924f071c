"""Package metadata comes from settings.ini; pyproject.toml holds only the name, the links and nbdev's own settings."""
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
BLOB, RAW = ('https://github.com/ecgclip/ecgclip/' + o for o in ('blob/main/', 'raw/main/'))   # a package index shows the README without the repository beside it
def _absolute(text):
    text = re.sub(r'(!\[[^\]]*\]\()(?!https?:)', rf'\g<1>{RAW}', text)
    return re.sub(r'((?<!!)\[[^\]]*\]\()(?!https?:|#)', rf'\g<1>{BLOB}', text)
lines = lambda key: [o.strip() for o in cfg[key].split('\n') if o.strip()]
commands = ['pretrain', 'prepare', 'evaluate', 'compare']
more_commands = ['embed', 'search', 'export']   # of the module commands

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'].split(),
    author=cfg['author'], author_email=cfg['author_email'], license=cfg['license'],
    python_requires=f">={cfg['min_python']}",
    classifiers=lines('classifiers'),
    long_description=_absolute((here/'README.md').read_text(encoding='utf-8')), long_description_content_type='text/markdown',
    packages=find_packages(include=['ecgclip*']), include_package_data=True,
    package_data={'ecgclip': ['sample/**/*', 'terms/*', 'locale/*', 'hearts/*', 'fonts/*', 'pretrained/**/*']},
    install_requires=lines('requirements'), extras_require={k.removesuffix('_requirements'): lines(k) for k in cfg if k.endswith('_requirements')},
    entry_points={'console_scripts': [f'ecgclip-{c}=ecgclip.cli:{c}' for c in commands] + [f'ecgclip-{c}=ecgclip.commands:{c}' for c in more_commands],
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_path']}._modidx:d"]},
    zip_safe=False)
