"""Write README.md from nbs/index.ipynb: markdown cells, code cells without directives, stored outputs.

    python tools/make_readme.py

Pictures go to nbs/images/readme-*.png. The notebook must hold its outputs: `nbdev-test --save nbs/index.ipynb` stores them."""
import base64, re
from pathlib import Path

import nbformat

root = Path(__file__).resolve().parent.parent
images = root/'nbs'/'images'

def _directives(source): return {m.strip() for m in re.findall(r'^#\|(.*)$', source, re.M)}
def _code(source): return re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip()
def _link(text): return re.sub(r'(\]\(|src=")(images/|[\w.]+\.ipynb)', r'\1nbs/\2', text)  # links of the notebook start in nbs/

def _output(out, n):
    "Markdown of one stored output."
    data = out.get('data', {})
    if out.output_type == 'stream': return '' if out.name == 'stderr' else f'```\n{out.text.rstrip()}\n```'
    if 'image/png' in data:
        name = f'readme-{n}.png'
        (images/name).write_bytes(base64.b64decode(data['image/png']))
        return f'![](nbs/images/{name})'
    if 'text/markdown' in data: return data['text/markdown']
    return f'```\n{data["text/plain"].rstrip()}\n```' if 'text/plain' in data else ''

def _cell(cell, n):
    if cell.cell_type == 'markdown': return _link(cell.source)
    flags, code = _directives(cell.source), _code(cell.source)
    if cell.cell_type != 'code' or 'hide' in flags: return ''
    parts = [] if 'echo: false' in flags else [f'```python\n{code}\n```']
    return '\n\n'.join(parts + [o for i, out in enumerate(cell.outputs) if (o := _output(out, f'{n}{i or ""}'))])

def main():
    nb = nbformat.read(root/'nbs'/'index.ipynb', 4)
    images.mkdir(exist_ok=True)
    for old in images.glob('readme-*.png'): old.unlink()
    cells = [o for n, c in enumerate(nb.cells) if (o := _cell(c, n))]
    text = '<!-- Written from nbs/index.ipynb by tools/make_readme.py; edit that notebook. -->\n\n' + '\n\n'.join(cells) + '\n'
    (root/'README.md').write_text(text, encoding='utf-8')

if __name__ == '__main__': main()
