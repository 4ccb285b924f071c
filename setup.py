"""Package metadata comes from settings.ini; pyproject.toml holds only the name, the links and nbdev's own settings."""
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
lines = lambda key: [o for o in cfg[key].split('\n') if o.strip()]
commands = ['pretrain', 'prepare', 'evaluate', 'compare']
more_commands = ['embed', 'search', 'export']   # of the module commands

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'].split(),
    author=cfg['author'], author_email=cfg['author_email'], license=cfg['license'],
    python_requires=f">={cfg['min_python']}",
    classifiers=['Development Status :: 4 - Beta', 'Intended Audience :: Science/Research',
                 'Topic :: Scientific/Engineering :: Medical Science Apps.', 'Natural Language :: Chinese (Simplified)',
                 'Natural Language :: English', 'Programming Language :: Python :: 3'],
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    packages=find_packages(include=['ecgclip*']), include_package_data=True,
    package_data={'ecgclip': ['sample/**/*', 'terms/*', 'locale/*', 'hearts/*', 'fonts/*', 'pretrained/**/*']},
    install_requires=lines('requirements'), extras_require={k.removesuffix('_requirements'): lines(k) for k in cfg if k.endswith('_requirements')},
    entry_points={'console_scripts': [f'ecgclip-{c}=ecgclip.cli:{c}' for c in commands] + [f'ecgclip-{c}=ecgclip.commands:{c}' for c in more_commands],
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_path']}._modidx:d"]},
    zip_safe=False)
