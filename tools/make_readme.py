"""Write README.md and README.zh-CN.md from nbs/index.ipynb and nbs/index.zh-CN.ipynb: markdown cells, code cells without directives, stored outputs.

    python tools/make_readme.py

The notebooks must hold their outputs: `nbdev-test --save nbs/index.ipynb` stores them. Tables of figures are computed again here and stored too, so that they say what
benchmarks/results say. A link to a file that is not there makes it fail, after all is written. Pictures of outputs go to nbs/images/readme-*.png."""
import base64, os, re, sys
from pathlib import Path

import nbformat

root = Path(__file__).resolve().parent.parent
images = root/'nbs'/'images'
PAGES = {'index.ipynb': 'README.md', 'index.zh-CN.ipynb': 'README.zh-CN.md'}
GITHUB = 'https://github.com/ecgclip/ecgclip/blob/main/'   # the site needs whole addresses of files outside of nbs/; in the repository they are beside the README

def _directives(source): return {m.strip() for m in re.findall(r'^#\|(.*)$', source, re.M)}
def _code(source): return re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip()

def _link(text):
    "Links of a notebook start in nbs/, those of a README at the top."
    def there(m): return m[1] + PAGES.get(m[2], f'nbs/{m[2]}')
    return re.sub(r'(\]\(|src=")(images/[\w./-]+|[\w.-]+\.ipynb)', there, text).replace(f']({GITHUB}', '](')

def _output(out, n):
    "Markdown of one stored output."
    data = out.get('data', {})
    if out.output_type == 'stream': return '' if out.name == 'stderr' else f'```\n{out.text.rstrip()}\n```'
    if 'image/png' in data:
        name = f'readme-{n}.png'
        (images/name).write_bytes(base64.b64decode(data['image/png']))
        return f'![](nbs/images/{name})'
    if 'text/markdown' in data: return _link(data['text/markdown'])
    return f'```\n{data["text/plain"].rstrip()}\n```' if 'text/plain' in data else ''

def _cell(cell, n):
    if cell.cell_type == 'markdown': return _link(cell.source)
    flags, code = _directives(cell.source), _code(cell.source)
    if cell.cell_type != 'code' or 'hide' in flags: return ''
    parts = [] if 'echo: false' in flags else [f'```python\n{code}\n```']
    return '\n\n'.join(parts + [o for i, out in enumerate(cell.outputs) if (o := _output(out, f'{n}{i or ""}'))])

def _tables(nb):
    "Compute the tables of figures again; returns whether one was no longer what benchmarks/results say. Only cells that need `readme_facts` are run: they read files and write Markdown."
    space, new = {}, False
    for c in nb.cells:
        if c.cell_type != 'code' or not ('facts' in c.source or 'IPython.display' in c.source): continue
        code, _, last = _code(c.source).partition('\nMarkdown(')
        exec(code, space)
        if not last: continue
        text = eval(f'Markdown({last}', space).data
        if text == ''.join(o.data.get('text/markdown', '') for o in c.outputs if 'data' in o): continue
        c.outputs, new = [nbformat.v4.new_output('execute_result', {'text/markdown': text, 'text/plain': '<IPython.core.display.Markdown object>'})], True
    return new

def _broken(text):
    "Links of a README to files that are not there."
    links = re.findall(r'\]\((?!https?:|#|mailto:)([^)#\s]+)', text)
    return sorted({o for o in links if not (root/o).exists()})

def write(name):
    "Write one README, and the tables of its notebook where they have changed; returns what is wrong with it."
    nb = nbformat.read(root/'nbs'/name, 4)
    if _tables(nb): nbformat.write(nb, root/'nbs'/name)
    cells = [o for n, c in enumerate(nb.cells) if (o := _cell(c, f"{name.removeprefix('index').removesuffix('.ipynb').strip('.')}{n}"))]
    text = f'<!-- Written from nbs/{name} by tools/make_readme.py; edit that notebook. -->\n\n' + '\n\n'.join(cells) + '\n'
    (root/PAGES[name]).write_text(text, encoding='utf-8')
    return [f'{PAGES[name]}: no file {o}' for o in _broken(text)]

def main():
    images.mkdir(exist_ok=True)
    for old in images.glob('readme-*.png'): old.unlink()
    os.chdir(root/'nbs')
    wrong = [o for name in PAGES for o in write(name)]
    if wrong: sys.exit('\n'.join(wrong))

if __name__ == '__main__': main()
