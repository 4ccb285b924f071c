"""Build the documentation site with pip packages alone, where quarto is not installed: the same pages, from the same `_quarto.yml`.

    pip install -e ".[docs]"
    python tools/make_site.py build [DEST]     # default _docs; ends with status 1 and a list when something is wrong
    python tools/make_site.py serve [--port]   # build, then serve on this machine
    python tools/make_site.py check DEST       # the checks alone, on a built site

nbdev processes the notebooks into `_proc/` (only those that changed), each becomes one page of markdown, and MkDocs makes HTML of it.
A build fails, with all faults in one list, on links and anchors that lead nowhere, missing pictures, empty pages, notebooks that the
sidebar does not name, and on any script, style or font from another host."""
import argparse, base64, html, http.server, json, logging, os, re, shutil, subprocess, sys, tempfile
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

root = Path(__file__).resolve().parent.parent
proc = root/'_proc'

# --- settings: the one source is _quarto.yml -----------------------------------------------------------------------------------

def settings():
    "`_quarto.yml` with the files it names, as quarto joins them."
    merged = {}
    top = yaml.safe_load((root/'_quarto.yml').read_text(encoding='utf-8'))
    for part in [*(yaml.safe_load((root/'nbs'/f).read_text(encoding='utf-8')) for f in top.get('metadata-files', [])), top]:
        for key, value in part.items(): merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged

def sidebar_files(contents):
    "The notebooks that a sidebar names, in order."
    for entry in contents:
        if isinstance(entry, str): yield entry
        elif 'contents' in entry: yield from sidebar_files(entry['contents'])
        else: yield entry.get('href') or entry['file']

def navigation(contents, pages):
    "The sidebar as MkDocs has it."
    def one(entry):
        if isinstance(entry, str): return f'{pages[entry].name}.md'
        if 'contents' in entry: return {entry.get('section') or entry['text']: navigation(entry['contents'], pages)}
        return {entry['text']: f"{pages[entry.get('href') or entry['file']].name}.md"}
    return [one(e) for e in contents if not isinstance(e, str) or e in pages]

# --- one notebook to one page --------------------------------------------------------------------------------------------------

callouts = {'note': 'note', 'tip': 'tip', 'warning': 'warning', 'important': 'danger', 'caution': 'warning'}

def heading_id(text):
    "The anchor that pandoc gives a heading."
    text = re.sub(r'<[^>]+>|\]\([^)]*\)|[\[\]`*$\\]', '', text)
    text = re.sub(r'[^\w\s.-]', '', text).strip().lower()
    return re.sub(r'^[^a-z\u0080-\uffff]+', '', re.sub(r'\s+', '-', text)) or 'section'

def options(source):
    "The `#|` lines of a cell as a dictionary, and the code without them."
    found = dict(m.groups() for m in re.finditer(r'^#\|\s*([\w-]+):?\s*(.*)$', source, re.M))
    return found, re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip('\n')

def outside_code(text, change):
    "`text` with `change` applied to the lines that are in no fenced block."
    fence, lines = None, []
    for line in text.split('\n'):
        mark = re.match(r'\s*(`{3,}|~{3,})', line)
        if mark and fence is None: fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip().strip('`~'): fence = None
        elif fence is None: line = change(line)
        lines.append(line)
    return '\n'.join(l for l in lines if l is not None)

def admonitions(text):
    "Quarto's fenced divisions: callouts become admonitions, others lose their fence."
    depth = []
    def change(line):
        start = re.match(r'^:::+\s*\{(.*)\}\s*$', line)
        if start:
            kind = next((v for k, v in callouts.items() if f'callout-{k}' in start[1]), None)
            title = re.search(r'title="([^"]*)"', start[1])
            depth.append(kind)
            return f'!!! {kind}' + (f' "{title[1]}"' if title else '') + '\n' if kind else ''
        if re.match(r'^:::+\s*$', line) and depth:
            depth.pop()
            return ''
        return '    ' + line if any(depth) and line else line
    return outside_code(text, change)

class Page:
    "One notebook of `_proc`: its front matter, its name in the site, and `markdown()`."
    def __init__(self, path, site, pages):
        self.path, self.site, self.pages, self.ids, self.pictures = path, site, pages, {}, {}
        self.cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        for c in self.cells: c['source'] = ''.join(c['source'])
        front = next((c['source'].strip().strip('-') for c in self.cells if c['cell_type'] == 'raw' and c['source'].startswith('---')), '')
        self.front = yaml.safe_load(front) or {}
        self.name = Path(self.front.get('output-file') or path.stem + '.html').name.removesuffix('.html')
        self.title = str(self.front.get('title') or self.name)
        self.section = self.title
        docs = [''.join(o.get('data', {}).get('text/markdown', '')) for c in self.cells for o in c.get('outputs', []) if 'show_doc' in c['source']]
        self.symbols = {heading_id(m) for d in docs for m in re.findall(r'^#+ (.+)$', d, re.M)}

    def markdown(self):
        head = [f'---\ntitle: {json.dumps(self.title, ensure_ascii=False)}\ndescription: {json.dumps(self.front.get("description") or "", ensure_ascii=False)}\n---',
                f'# {self.title} {{#{self.unique(heading_id(self.title))}}}']
        if self.front.get('description'): head.append(f'{self.text(self.front["description"])}\n{{.subtitle}}')
        source = f'{self.site["website"]["repo-url"]}/blob/{self.site["website"].get("repo-branch", "main")}/nbs/{self.path.relative_to(proc)}'
        foot = f'Notebook: [{self.path.name}]({source}) · [Report an issue]({self.site["website"]["repo-url"]}/issues/new/choose)\n{{.page-source}}'
        return '\n\n'.join([*head, *(o for i, c in enumerate(self.cells) if (o := self.cell(i, c))), foot]) + '\n'

    def cell(self, i, cell):
        if cell['cell_type'] == 'markdown': return self.text(cell['source'])
        return self.code(i, cell) if cell['cell_type'] == 'code' else ''

    def code(self, i, cell):
        opts, source = options(cell['source'])
        if opts.get('include') == 'false': return ''
        shown = [f'```{cell["metadata"].get("language", "python")}\n{source}\n```'] if source and opts.get('echo') != 'false' else []
        if shown and 'code-fold' in opts:
            shown = [f'??? note {opts.get("code-summary") or chr(34) + "Code" + chr(34)}\n\n' + re.sub('^(?=.)', '    ', shown[0], flags=re.M)]
        outputs = [] if opts.get('output') == 'false' else [self.output(f'{i}-{n}', o) for n, o in enumerate(cell.get('outputs', []))]
        return '\n\n'.join([*shown, *filter(None, outputs)])

    def output(self, key, out):
        if out['output_type'] == 'stream': return '' if out['name'] == 'stderr' else self.plain(out['text'])
        if out['output_type'] == 'error': return self.plain(f'{out["ename"]}: {out["evalue"]}')
        data = {k: v if isinstance(v, (str, dict)) else ''.join(v) for k, v in out['data'].items()}
        if 'text/markdown' in data: return self.symbol(data['text/markdown']) if '{target="_blank"' in data['text/markdown'] else self.text(data['text/markdown'])
        for kind, suffix in (('image/png', 'png'), ('image/jpeg', 'jpg'), ('image/svg+xml', 'svg')):
            if kind in data: return self.picture(f'{self.name}_files/{key}.{suffix}', data[kind])
        if 'text/html' in data: return f'<div class="output table" tabindex="0">{one_block(data["text/html"])}</div>'
        return self.plain(data['text/plain']) if 'text/plain' in data else ''

    def plain(self, text):
        text = re.sub(r'\x1B\[[0-?]*[ -/]*[@-~]', '', text if isinstance(text, str) else ''.join(text)).rstrip()
        return f'<div class="output"><pre tabindex="0">{html.escape(text)}</pre></div>' if text else ''

    def picture(self, name, data):
        "A picture as a file; its size in the page keeps the text from moving while it loads."
        self.pictures[name] = data.encode() if name.endswith('svg') else base64.b64decode(data)
        png = self.pictures[name]
        size = ' width="{}" height="{}"'.format(*(int.from_bytes(png[k:k+4], 'big') for k in (16, 20))) if name.endswith('png') else ''
        return f'<div class="output picture"><img src="{name}" alt="{html.escape(self.section)}: figure" loading="lazy"{size}></div>'

    def symbol(self, text):
        "The documentation of a symbol: its link to the source goes into the heading's line."
        source = re.search(r'\[source\]\(([^)]+)\)\{[^}]*\}', text)
        text = re.sub(r'^---\n', '', text.replace(source[0], '', 1)).strip()
        return f'<p class="source-link" data-search-exclude><a href="{source[1]}">source</a></p>\n\n' + self.text(text, symbol=True)

    def text(self, text, symbol=False):
        "Markdown as pandoc reads it, for Python-Markdown: anchors, links, callouts."
        text = re.sub(r'^#\|.*\n?', '', re.sub(r'<!--.*?-->', '', text, flags=re.S), flags=re.M) if not symbol else text
        change = lambda line: self.links(self.heading(line, symbol))
        return outside_code(admonitions(text), change).strip('\n')

    def heading(self, line, symbol):
        head = re.match(r'^(#{1,6})\s+(.*?)\s*(?:\{#?([^}]*)\})?\s*#*$', line)
        if not head: return line
        level, text, given = head.groups()
        shown = text.removesuffix(' -')  # nbdev's sign for headings of tests; the anchor keeps it, so as not to be that of a symbol
        self.section = re.sub(r'[`*]', '', shown)
        return f'{level} {shown} {{#{self.unique(given or heading_id(text))}{" .symbol" if symbol else ""}}}'

    def unique(self, name):
        n = self.ids[name] = self.ids.get(name, -1) + 1
        return f'{name}-{n}' if n else name

    def links(self, line):
        "Links to notebooks become links to pages, links to other files of the repository lead to the repository."
        line = re.sub(r'\{target="_blank"[^}]*\}', '', line)
        code = [m.span() for m in re.finditer(r'(`+).+?\1', line)]
        inside = lambda k: any(a <= k < b for a, b in code)
        return re.sub(r'\]\(([^()\s]*)( "[^"]*")?\)', lambda m: m[0] if inside(m.start()) else f']({self.target(m[1])}{m[2] or ""})', line)

    def target(self, url):
        site = self.site['website']
        home = site['site-url'].rstrip('/') + '/'
        if url.startswith(home): return self.documented(url.removeprefix(home))
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not parts.path: return url
        if parts.path in self.pages: return self.pages[parts.path].name + '.html' + (f'#{parts.fragment}' if parts.fragment else '')
        here = (root/'nbs'/unquote(parts.path)).resolve()
        inside = here.is_relative_to(root) and not here.is_relative_to(root/'nbs')
        return f'{site["repo-url"]}/{"tree" if here.is_dir() else "blob"}/{site.get("repo-branch", "main")}/{here.relative_to(root)}' if inside else url

    def documented(self, url):
        "nbdev links every name that a module has; the page has sections for exported ones. A method goes to its class, a private name to the page."
        file, _, name = url.partition('#')
        page = next((p for p in self.pages.values() if f'{p.name}.html' == file), None)
        if not name or page is None or name in page.symbols: return url
        owner = name.split('.')[0]
        return f'{file}#{owner}' if owner in page.symbols else file

def one_block(text):
    "HTML of an output as one block: no blank lines, which would end it, and no style of its own."
    text = re.sub(r'<style.*?</style>|<script.*?</script>| border="1"| style="text-align: right;"', '', text, flags=re.S)
    return re.sub(r'\n\s*\n+', '\n', text)

# --- MkDocs --------------------------------------------------------------------------------------------------------------------

def mkdocs_config(site, nav, docs, dest):
    w = site['website']
    switch = lambda scheme, media, icon, name: dict(media=media, scheme=scheme, primary='custom', accent='custom', toggle=dict(icon=icon, name=name))
    return dict(
        site_name=w['title'], site_url=w['site-url'].rstrip('/') + '/', site_description=w.get('description') or '', docs_dir=str(docs), site_dir=str(dest),
        use_directory_urls=False, nav=nav, repo_url=w['repo-url'], repo_name='GitHub', hooks=[str(Path(__file__).resolve())], extra_css=['site.css'],
        theme=dict(name='material', custom_dir=str(root/'tools'/'site'), font=False, language='en', icon=dict(repo='fontawesome/brands/github', logo='material/heart-pulse'),
                   favicon='favicon.svg',
                   features=['navigation.sections', 'navigation.top', 'navigation.footer', 'navigation.tracking', 'toc.follow', 'search.suggest', 'search.highlight', 'content.code.copy'],
                   palette=[switch('default', '(prefers-color-scheme: light)', 'material/weather-sunny', 'Switch to dark'),
                            switch('slate', '(prefers-color-scheme: dark)', 'material/weather-night', 'Switch to light')]),
        plugins=[dict(search=dict(lang=['en'], separator=r'[\s\u200b\-,:;!=\[\]()"\'`/，。；：、（）《》]+|\.(?!\d)|&[lg]t;'))],
        markdown_extensions=['admonition', 'attr_list', 'footnotes', 'def_list', 'tables', 'sane_lists', 'pymdownx.details', 'pymdownx.superfences', 'pymdownx.tilde',
                             dict(toc=dict(permalink='#', permalink_title='Link to this section', toc_depth='2-3')),
                             {'pymdownx.highlight': dict(use_pygments=True, guess_lang=False)}, {'pymdownx.arithmatex': dict(generic=True)}],
        validation=dict(nav=dict(omitted_files='ignore', not_found='warn'), links=dict(unrecognized_links='ignore', not_found='ignore')))

def mathml(page):
    "Formulas, which MkDocs leaves in TeX, as MathML: browsers draw it without a script."
    from latex2mathml.converter import convert
    kind = {'span': (r'\\\(', r'\\\)', 'inline'), 'div': (r'\\\[', r'\\\]', 'block')}
    for tag, (start, end, display) in kind.items():
        page = re.sub(rf'<{tag} class="arithmatex">{start}(.*?){end}</{tag}>', lambda m: convert(html.unescape(m[1]).strip(), display=display), page, flags=re.S)
    return page

def width_of(cell):
    "What a table's cell holds, so that text gets a width to be read in and numbers stay narrow."
    n = len(re.sub(r'<[^>]+>', '', cell).strip())
    return 'long' if n > 60 else 'some' if n > 18 else 'short'

def on_page_content(html, page, config, files):
    "Hook of MkDocs, before the search index is made. A symbol's source stands beside its name, wide tables get a box that scrolls, cells of much text a width to be read in."
    html = re.sub(r'(<p class="source-link".*?</p>)\s*(<h\d [^>]*>.*?</h\d>)', r'<div class="symbol-head">\1\2</div>', html, flags=re.S)
    html = re.sub(r'<td([^>]*)>(.*?)(?=</td>)', lambda m: f'<td class="{width_of(m[2])}"{m[1]}>{m[2]}', html, flags=re.S)
    html = re.sub(r'<table>.*?</table>', lambda m: f'<div class="output table" tabindex="0">{m[0]}</div>', mathml(html), flags=re.S)
    return html

def on_post_page(output, page, config):
    "Hook of MkDocs: the language of a page, for its fonts and for screen readers."
    return output.replace('<html lang="en"', '<html lang="zh-CN"', 1) if '.zh-cn' in page.file.src_path.lower() else output

def process(workers=os.cpu_count(), force=False):
    "nbdev's pages in `_proc`, without its check for quarto. In a process of its own, since nbdev's workers import the main module."
    code = ('if __name__ == "__main__":\n import sys, warnings; warnings.simplefilter("ignore")\n from nbdev.serve import proc_nbs\n'
            f' proc_nbs({str(root/"nbs")!r}, n_workers={workers}, force={force})')
    with tempfile.TemporaryDirectory() as d:
        script = Path(d)/'process.py'
        script.write_text(code)
        env = {**os.environ, 'PYTHONWARNINGS': 'ignore', 'PYTHONPATH': os.pathsep.join([str(root), os.environ.get('PYTHONPATH', '')])}
        done = subprocess.run([sys.executable, script], cwd=root, env=env)
    if done.returncode: raise SystemExit('error: nbdev could not process the notebooks; the message above names the notebook')

def write_pages(site, docs):
    "Markdown and pictures of all pages in folder `docs`; the navigation; what is wrong with the sidebar."
    pages = {}
    for path in sorted(proc.rglob('*.ipynb')): pages[str(path.relative_to(proc))] = Page(path, site, pages)
    named = list(sidebar_files(site['website']['sidebar']['contents']))
    faults = [f'_quarto.yml: the sidebar names {f}, which is not in nbs/' for f in named if f not in pages]
    faults += [f'_quarto.yml: the sidebar does not name nbs/{f}' for f in pages if f not in named]
    taken = {}
    for f, p in pages.items():
        if p.name in taken: faults.append(f'nbs/{f} and nbs/{taken[p.name]} would both be {p.name}.html')
        taken[p.name] = f
    if (proc/'images').is_dir(): shutil.copytree(proc/'images', docs/'images')
    for extra in ('site.css', 'favicon.svg'): shutil.copy(root/'tools'/'site'/extra, docs)
    for page in pages.values():
        (docs/f'{page.name}.md').write_text(page.markdown(), encoding='utf-8')
        for name, data in page.pictures.items():
            (docs/name).parent.mkdir(exist_ok=True)
            (docs/name).write_bytes(data)
    return navigation(site['website']['sidebar']['contents'], pages), faults

def build(dest, force=False):
    "Build the site into folder `dest`, which is replaced when all is well. Gives the list of faults."
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config
    os.environ.setdefault('NO_MKDOCS_2_WARNING', '1')
    for name in ('mkdocs', 'jieba'): logging.getLogger(name).setLevel(logging.WARNING)
    process(force=force)
    site, dest = settings(), Path(dest).resolve()
    with tempfile.TemporaryDirectory() as d:
        docs, out = Path(d)/'docs', Path(d)/'site'
        docs.mkdir()
        nav, faults = write_pages(site, docs)
        (Path(d)/'mkdocs.yml').write_text(yaml.safe_dump(mkdocs_config(site, nav, docs, out), allow_unicode=True, sort_keys=False), encoding='utf-8')
        mkdocs_build(load_config(str(Path(d)/'mkdocs.yml')))
        for md in docs.glob('*.md'): shutil.copy(md, out/f'{md.stem}.html.md')  # quarto's second format, which docstrings link to
        faults += check(out, site)
        if not faults: replace(out, dest)
        elif os.environ.get('KEEP_BROKEN_SITE'): replace(out, dest)
    return faults

def replace(built, dest):
    "Put a finished site in the place of the old one; never a folder that is no site."
    if dest.exists() and any(dest.iterdir()) and not (dest/'index.html').exists(): raise SystemExit(f'error: {dest} is there and is not a site; name another folder')
    new = dest.with_name(f'.{dest.name}.new')
    shutil.rmtree(new, ignore_errors=True)
    dest.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(built), new)
    shutil.rmtree(dest, ignore_errors=True)
    new.rename(dest)

# --- what must hold of a built site --------------------------------------------------------------------------------------------

class Built(HTMLParser):
    "Anchors, links, things loaded, and the length of the text of one page."
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.depth, self.words = set(), [], [], 0, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {a[k] for k in ('id', 'name') if a.get(k)}
        if tag == 'article': self.depth += 1
        if tag == 'a' and 'href' in a: self.links.append(a['href'] or '')
        if tag in ('img', 'script', 'iframe', 'source', 'video') and 'src' in a: self.loads.append(a['src'] or '')
        if tag == 'link' and a.get('rel') not in ('canonical', 'alternate', 'prev', 'next'): self.loads.append(a.get('href') or '')

    def handle_endtag(self, tag): self.depth -= tag == 'article'
    def handle_data(self, data): self.words += len(data.strip()) if self.depth else 0

def check(dest, site):
    "Faults of the built site in folder `dest`, one line each."
    dest, w = Path(dest), site['website']
    pages = {p.relative_to(dest).as_posix(): Built(p.read_text(encoding='utf-8')) for p in sorted(dest.rglob('*.html'))}
    faults = [f'{css.name}: loads from another host: {m}' for css in dest.rglob('*.css') for m in re.findall(r'(?:url\(|@import)\s*["\']?((?:https?:)?//[^"\')\s]+)', css.read_text(encoding='utf-8'))]
    for name, page in pages.items():
        if name == '404.html': continue  # its links start at the site's own address
        if page.words < 200: faults.append(f'{name}: the page is empty')
        faults += [f'{name}: loads from another host: {u}' for u in page.loads if re.match(r'(https?:)?//', u)]
        faults += [f'{name}: {u or "(no address)"} is missing' for u in page.loads if not re.match(r'(https?:)?//|data:', u) and not (u and (dest/name).parent.joinpath(unquote(urlsplit(u).path)).is_file())]
        faults += [f'{name}: {fault}' for u in dict.fromkeys(page.links) if (fault := broken(u, name, pages, dest, w))]
    return faults

def broken(url, name, pages, dest, w):
    "Why a link leads nowhere, or nothing. Other hosts are not asked; files of the repository are looked up here."
    parts = urlsplit(url)
    if not url: return 'a link without an address'
    file = re.match(rf'{re.escape(w["repo-url"])}/(?:blob|tree|raw)/{w.get("repo-branch", "main")}/([^#?]+)', url)
    if file: return None if (root/unquote(file[1])).exists() else f'{url}: the repository has no such file'
    if parts.scheme or parts.netloc: return None
    target = os.path.normpath(os.path.join(os.path.dirname(name), unquote(parts.path))) if parts.path else name
    if target == '.': target = 'index.html'
    if not (dest/target).is_file(): return f'{url}: there is no such page'
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids: return f'{url}: the page has no such section'

# --- commands ------------------------------------------------------------------------------------------------------------------

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

def server(dest, port=0):
    "A server of folder `dest` on this machine alone."
    return http.server.ThreadingHTTPServer(('127.0.0.1', port), partial(Quiet, directory=str(dest)))

def report(faults, dest):
    for f in faults: print(f'  {f}')
    if faults: raise SystemExit(f'error: the site has {len(faults)} fault{"s" * (len(faults) > 1)}, listed above')
    print(f'{len(list(Path(dest).glob("*.html")))} pages in {dest}, no fault')

def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    commands = parser.add_subparsers(dest='command', required=True)
    for name in ('build', 'serve', 'check'):
        p = commands.add_parser(name)
        p.add_argument('dest', nargs='?', default=str(root/'_docs'), help='folder of the site')
        if name != 'check': p.add_argument('--force', action='store_true', help='process notebooks that did not change, too')
        if name == 'serve': p.add_argument('--port', type=int, default=8000)
    args = parser.parse_args()
    report(check(args.dest, settings()) if args.command == 'check' else build(args.dest, args.force), args.dest)
    if args.command == 'serve':
        print(f'http://127.0.0.1:{args.port}/ (Ctrl+C ends it)')
        try: server(args.dest, args.port).serve_forever()
        except KeyboardInterrupt: pass

if __name__ == '__main__': main()
