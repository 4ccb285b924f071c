"""Are the notebooks lessons? Reads them as they are stored, runs nothing, and lists what is missing; exit status 1 if anything is.

    python tools/check_notebooks.py                        every notebook, every check
    python tools/check_notebooks.py 04 07a --only example  notebooks whose names begin so, one check
    python tools/check_notebooks.py --rerun 04_transforms  run copies, and say which stored outputs change

Checks: `title` (a title and a `> subtitle`), `example` (each public function, class and patched method is used by a cell on the page that has a
stored output; a cell that only makes what a later such cell uses counts too, and a result type that is printed or returned), `docstring`, `docment` (each parameter has a comment, or is named in
the docstring in backticks), `error` (a stored traceback), `noise` (times, paths, addresses, warnings, progress bars in what is stored), `missing` (a
cell that ends in a value, or prints or plots, and stores nothing). Left out are errors (a class with a message), what an `#| exporti` cell exports,
and tests: what stands below a heading such as `## Tests -`. `--skip notebook:name` or a file of such lines (`--skips`) leaves findings out."""
import argparse, ast, base64, io, os, re, shutil, subprocess, sys, tempfile, time, tokenize
from collections import namedtuple
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path

import nbformat, numpy as np
from PIL import Image

root = Path(__file__).resolve().parent.parent
checks = 'title', 'example', 'docstring', 'docment', 'error', 'noise', 'missing'
Symbol = namedtuple('Symbol', 'name node source')                # a public definition: `read_ecg`, or `Learner.fit_warmup_cosine` if patched
Finding = namedtuple('Finding', 'notebook check name text')

_noise = {'memory address': r'\b0x[0-9a-f]{6,}\b', 'path of one machine': r'(?<![\w.])/(tmp|dev/shm|home|root|opt|work|Users|private|var)/\w', 'throughput or time': r'\b(it/s|s/it|Wall time|CPU times)\b|\btrain_loss\b.*\btime\b',
          'progress bar': r'<progress|\d+%\|', 'time of day': r'\b[012]\d:[0-5]\d:[0-5]\d\b'}
_shows = {'print', 'show', 'display', 'show_batch', 'show_results', 'summary', 'plot', 'imshow', 'plot_ecg', 'sorted', 'round', 'dict', 'list', 'len', 'join'}

# %% A notebook as stored
@lru_cache(None)
def cells(path): return nbformat.read(path, 4).cells

def flags(cell): return {m.strip() for m in re.findall(r'^#\|(.*)$', cell.source, re.M)}
def is_export(cell): return cell.cell_type == 'code' and any(re.match(r'exports?\b|exporti\b|default_exp\b', f) for f in flags(cell))

@lru_cache(None)
def parse(source):
    "Syntax tree of a cell; lines of the shell and magics are passed over."
    try: return ast.parse(re.sub(r'^(\s*)[!%].*$', r'\1pass', source, flags=re.M))
    except SyntaxError: return ast.parse('')

def on_page(path):
    "Code cells a reader sees, but for exported cells, and tests (below a heading `Tests ... -`, until one of its level)."
    level = 0
    for cell in cells(path):
        if cell.cell_type == 'markdown':
            for marks, words in re.findall(r'^(#+) (.*)$', cell.source, re.M):
                if not level or len(marks) <= level: level = len(marks) if re.match(r'Tests\b.* -$', words.rstrip()) else 0
        elif not level and not is_export(cell) and not flags(cell) & {'hide', 'include: false'}: yield cell

def texts(cell):
    "Every stored text of a cell, with its kind."
    for out in cell.get('outputs', []):
        if out.output_type == 'stream': yield out.name, out.text
        for mime, text in out.get('data', {}).items():
            if mime.startswith('text/'): yield mime, text

def is_visible(cell): return any(o.output_type in ('display_data', 'execute_result') or o.get('name') == 'stdout' for o in cell.outputs)

# %% Public symbols
def _patched(node):
    "Class (the first, of several) whose method a `@patch`ed function becomes; None for others."
    if not any('patch' in ast.unparse(d) for d in getattr(node, 'decorator_list', [])): return None
    first = node.args.args[0].annotation if node.args.args else None
    return re.split(r'[|,]', ast.unparse(first).strip('()'))[0].strip() if first is not None else None

def symbols_of(cell):
    if not is_export(cell) or 'exporti' in flags(cell): return
    for node in parse(cell.source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)) and not node.name.startswith('_'):
            owner = _patched(node)
            if not (owner or '').startswith('_'): yield Symbol(f'{owner}.{node.name}' if owner else node.name, node, cell.source)

def symbols(path):
    "Public functions, classes and patched methods that a notebook exports."
    for cell in cells(path): yield from symbols_of(cell)

# %% What the examples use
def _loads(tree):
    "Names and attributes that are read, and names given as strings to getattr-like calls."
    for o in ast.walk(tree):
        if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Load): yield o.id
        elif isinstance(o, ast.Attribute): yield o.attr
        elif isinstance(o, ast.FormattedValue): yield from _loads(o.value)

def _stores(tree):
    for o in ast.walk(tree):
        if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store): yield o.id
        elif isinstance(o, (ast.FunctionDef, ast.ClassDef)): yield o.name

@lru_cache(None)
def used(path):
    "Names that cells with output use, and, going back, cells that make the values they use."
    names = set()
    for cell in reversed(list(on_page(path))):
        tree = parse(cell.source)
        if is_visible(cell) or names & set(_stores(tree)): names |= set(_loads(tree))
        names |= {w for _, text in texts(cell) for w in re.findall(r'\b([A-Z]\w+)(?=[(:])', text)}  # an object that shows itself
    return names

# %% The checks
def _params(node, source):
    "Parameters a reader has to know, each with whether a comment says what it is: of a function, of a class's `__init__`, or the fields of a dataclass or named tuple."
    if isinstance(node, ast.ClassDef):
        init = next((o for o in node.body if isinstance(o, ast.FunctionDef) and o.name == '__init__'), None)
        if init is not None: return _params(init, source)
        return [(o.target.id, o.lineno in _comments(source) or _has_help(o)) for o in node.body if isinstance(o, ast.AnnAssign) and isinstance(o.target, ast.Name)] if _has_fields(node) else []
    args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    last = {o.lineno: o.arg for o in args}  # several on a line share its comment
    skip = 1 if args and (args[0].arg in ('self', 'cls') or _patched(node)) else 0
    return [(o.arg, _commented(o.lineno, last, _comments(source))) for o in args[skip:] if not o.arg.startswith('_')]

def _commented(line, last, comments): return line in comments or (line - 1 not in last and comments.get(line - 1) == 'alone')

@lru_cache(None)
def _comments(source):
    "Lines with a comment: 'alone', or 'behind' code."
    return {t.start[0]: 'alone' if t.line.strip().startswith('#') else 'behind' for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT}

def _has_fields(node): return any('dataclass' in ast.unparse(d) for d in node.decorator_list) or any('NamedTuple' in ast.unparse(b) for b in node.bases)
def _has_help(field): return isinstance(field.value, ast.Call) and any(isinstance(o, ast.Constant) and isinstance(o.value, str) and ' ' in o.value for o in field.value.args)

def _error(node): return isinstance(node, ast.ClassDef) and any(re.search(r'(Error|Exception|Warning)$', ast.unparse(b)) for b in node.bases)

def find_title(path):
    first = next((c.source for c in cells(path) if c.cell_type == 'markdown'), '')
    lines = [o for o in first.split('\n') if o.strip()] + ['', '']
    if not lines[0].startswith('# '): yield lines[0][:40], 'no title: the first markdown cell does not begin with "# "'
    elif not lines[1].startswith('> '): yield lines[0][2:42], 'no "> subtitle" below the title'

@lru_cache(None)
def shown():
    "What cells on the page use, with result types of the functions that they call, and names in what is printed of functions that register themselves."
    names, printed = set().union(*map(used, notebooks())), {w for p in notebooks() for o in on_page(p) for _, t in texts(o) for w in re.findall(r'\w+', t)}
    for s in (s for p in notebooks() for s in symbols(p) if not isinstance(s.node, ast.ClassDef)):
        if s.name.split('.')[-1] in names and s.node.returns is not None: names |= set(re.findall(r'\w+', ast.unparse(s.node.returns)))
        if any('register' in ast.unparse(d) for d in s.node.decorator_list) and s.name in printed: names.add(s.name)
    return names | {'forward', 'extra_repr'}   # torch's names for what it calls itself

def find_example(path):
    everywhere = shown()
    for s in symbols(path):
        if not _error(s.node) and s.name.split('.')[-1] not in everywhere: yield s.name, 'no example with output'

def find_docstring(path):
    for s in symbols(path):
        if not ast.get_docstring(s.node): yield s.name, 'no docstring'

def find_docment(path):
    for s in symbols(path):
        if _error(s.node): continue
        doc = ast.get_docstring(s.node) or ''
        missing = [n for n, comment in _params(s.node, s.source) if not comment and f'`{n}`' not in doc]
        if missing: yield s.name, f'parameters without a comment: {", ".join(missing)}'

def find_error(path):
    for cell in cells(path):
        for out in cell.get('outputs', []):
            if out.output_type == 'error': yield _line(cell), f'stored error {out.ename}: {out.evalue[:60]}'

def find_noise(path):
    for cell in cells(path):
        for kind, text in texts(cell) if cell.cell_type == 'code' else ():
            if kind == 'stderr': yield _line(cell), f'stored stderr: {text.strip()[:60]!r}'
            for what, pattern in _noise.items():
                if m := re.search(pattern, text): yield _line(cell), f'{what} in the output: {text[max(0, m.start()-20):m.end()+20]!r}'

def find_missing(path):
    skips = {'eval: false', 'slow', 'cuda', 'output: false'}
    for cell in on_page(path):
        if not flags(cell) & skips and not is_visible(cell) and not any(o.output_type == 'error' for o in cell.outputs) and _would_show(parse(cell.source)): yield _line(cell), 'ends in a value, prints or plots, and stores no output'
    if any(True for _ in symbols(path)) and not any(map(is_visible, on_page(path))): yield '', 'no output at all'

def _would_show(tree):
    "Whether the last line is an expression with a value: of calls only those that are known to give one."
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr): return False
    if isinstance(last.value, ast.Call): return _name(last.value) in _shows or _root(last.value) == 'pd'
    return not isinstance(last.value, (ast.Constant, ast.Await)) or getattr(last.value, 'value', 0) not in (None, ...)

def _name(call): return ast.unparse(call.func).split('.')[-1]

def _root(o):
    while not isinstance(o, ast.Name):
        o = getattr(o, 'func', None) or getattr(o, 'value', None)
        if not isinstance(o, ast.AST): return None
    return o.id

def _line(cell): return next((o.strip()[:60] for o in cell.source.split('\n') if o.strip() and not o.startswith('#|')), '')

# %% Running again
def _texts_and_pictures(cell): return [(k, v) for o in cell.get('outputs', []) for k, v in ({o.name: o.text} if o.output_type == 'stream' else o.get('data', {'error': o.get('evalue')})).items()]

def _pixels(png): return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB'), np.int16)

def _is_same(a, b):
    "Whether two outputs are equal; a picture may be off by 2 of 255 somewhere, which is where sums over several threads end up in another order."
    if a == b: return True
    if a[0] != b[0] or a[0] != 'image/png': return False
    x, y = _pixels(a[1]), _pixels(b[1])
    return x.shape == y.shape and int(np.abs(x - y).max()) <= 2

@contextmanager
def repository_copy():
    "A copy of the repository, so that what notebooks write stays out of it."
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copytree(root, Path(tmp)/'copy', ignore=shutil.ignore_patterns('.git', '_docs', '_proc', '*.egg-info', '__pycache__'), symlinks=True)
        yield Path(tmp)/'copy'

def rerun(path, copy):
    "Run a notebook in the copy, say on stderr how long it took, and give the cells whose stored outputs change."
    nb, start = copy/path.relative_to(root), time.perf_counter()
    done = subprocess.run(['nbdev-test', str(nb), '--save', '--n-workers', '1'], cwd=copy, capture_output=True, text=True, env=os.environ | {'PYTHONPATH': str(copy)})
    print(f'{path.stem}: {time.perf_counter() - start:.0f} s', file=sys.stderr, flush=True)
    if done.returncode: yield Finding(path.stem, 'rerun', '', f'it fails: {(done.stdout + done.stderr).strip()[-400:]}'); return
    subprocess.run(['nbdev-clean', '--fname', str(nb)], cwd=copy, check=True, capture_output=True)   # as it is before a commit
    for old, new in zip(cells(path), nbformat.read(nb, 4).cells):
        a, b = _texts_and_pictures(old), _texts_and_pictures(new)
        odd = {'number of outputs'} if len(a) != len(b) else {x[0] for x, y in zip(a, b) if not _is_same(x, y)}
        if odd: yield Finding(path.stem, 'rerun', _line(new), f'{", ".join(sorted(odd))} differs')

# %% The command
@lru_cache(None)
def notebooks(): return sorted(o for o in (root/'nbs').glob('*.ipynb') if not o.name.startswith('_'))

def matching(starts): return [p for p in notebooks() if not starts or any(p.name.startswith(s) for s in starts)]

def find(path, only=checks): return [Finding(path.stem, c, *o) for c in only for o in globals()[f'find_{c}'](path)]

def skips_of(finding): return {finding.notebook, f'{finding.notebook}:{finding.check}', f'{finding.notebook}:{finding.name}'}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('start', nargs='*', help='beginnings of notebook names; all of them if none is given')
    p.add_argument('--only', nargs='+', choices=checks, default=checks, help='checks to make')
    p.add_argument('--skip', nargs='+', default=[], help='notebook, notebook:check or notebook:name to leave out')
    p.add_argument('--skips', type=Path, help='file of such lines; what follows # is a comment')
    p.add_argument('--rerun', action='store_true', help='run copies and compare the outputs instead')
    p.add_argument('--count', action='store_true', help='numbers only')
    a = p.parse_args()
    skips = set(a.skip) | ({l.split('#')[0].strip() for l in a.skips.read_text(encoding='utf-8').splitlines()} - {''} if a.skips else set())
    paths = matching(a.start)
    if not paths: sys.exit(f'no notebook begins with {" or ".join(a.start)}')
    n, idle = 0, set(skips)
    with repository_copy() if a.rerun else nullcontext() as copy:
        for path in paths:
            every = list(rerun(path, copy) if a.rerun else find(path, a.only))
            found = [f for f in every if not skips_of(f) & skips]
            n, idle = n + len(found), idle - set().union(*map(skips_of, every))
            if found and a.count: print(f'{path.stem:28}', *(f'{c} {k}' for c in (*checks, 'rerun') if (k := sum(f.check == c for f in found))), flush=True)
            elif found: print(path.stem, *(f'  {f.check:10}{f.name:32} {f.text}' for f in found), sep='\n', flush=True)
    if idle and not a.start and set(a.only) == set(checks): print('left out, though there is nothing to leave out:', *sorted(idle))
    print(f'{n} findings in {len(paths)} notebooks')
    sys.exit(n > 0)

if __name__ == '__main__': main()
