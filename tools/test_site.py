"""Tests of the site: the converter and the checks anywhere, the pages in a browser where one is installed.

    python tools/make_site.py build && python tools/test_site.py [DEST]     # default _docs

The browser is Chromium or Chrome of the system (`apt-get install chromium`), driven by `playwright` of the `[docs]` extra."""
import shutil, sys, tempfile, threading, unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import make_site as site

named = __name__ == '__main__' and len(sys.argv) > 1 and not sys.argv[1].startswith('-')
dest = Path(sys.argv.pop(1) if named else site.root/'_docs')
chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
try: from playwright.sync_api import sync_playwright
except ImportError: sync_playwright = None
no_browser = (not chromium and 'no Chromium: apt-get install chromium') or (sync_playwright is None and 'no playwright: pip install -e ".[docs]"') \
    or (not (dest/'index.html').is_file() and f'no site in {dest}: python tools/make_site.py build')

class Converter(unittest.TestCase):
    def test_anchors_are_pandocs(self):
        for text, anchor in (('Two commands', 'two-commands'), ('`Config.to_json`', 'config.to_json'), ('1. What, and why?', 'what-and-why'), ('心房 颤动', '心房-颤动'), ('12', 'section')):
            self.assertEqual(site.heading_id(text), anchor)

    def page(self, source, kind='markdown', **cell):
        with tempfile.TemporaryDirectory() as d:
            path = Path(d)/'03_x.ipynb'
            path.write_text(site.json.dumps(dict(cells=[dict(cell_type=kind, source=[source], metadata={}, **cell)])), encoding='utf-8')
            proc, site.proc = site.proc, Path(d)
            self.addCleanup(setattr, site, 'proc', proc)
            pages = {}
            pages['03_x.ipynb'] = page = site.Page(path, site.settings(), pages)
            return page.markdown(), page

    def test_links(self):
        text = self.page('[a](03_x.ipynb#b) [b](../settings.ini) `[c](03_x.ipynb)` [`d`](https://ecgclip.github.io/ecgclip/03_x.html#nowhere) [e](https://example.org/x)')[0]
        for part in ('[a](03_x.html#b)', '[b](https://github.com/ecgclip/ecgclip/blob/main/settings.ini)', '`[c](03_x.ipynb)`', '[`d`](03_x.html)', '[e](https://example.org/x)'): self.assertIn(part, text)

    def test_callouts(self):
        self.assertIn('!!! warning "Mind"\n\n    text\n', self.page('::: {.callout-warning title="Mind"}\ntext\n:::\n\nafter')[0])
        self.assertIn('```\n::: {.callout-note}\n```', self.page('```\n::: {.callout-note}\n```')[0])

    def test_equal_headings_get_anchors_of_their_own(self):
        text = self.page('## Same\n\n## Same\n\n## Own {#mine}')[0]
        for part in ('{#same}', '{#same-1}', '{#mine}'): self.assertIn(part, text)

    def test_cells(self):
        out = dict(output_type='stream', name='stdout', text=['\x1b[31m<b>\x1b[0m\n'])
        text = self.page('#| slow: true\nx = 1', 'code', outputs=[out])[0]
        self.assertIn('```python\nx = 1\n```', text); self.assertNotIn('slow', text); self.assertIn('&lt;b&gt;</pre>', text)
        self.assertNotIn('x = 1', self.page('#| echo: false\nx = 1', 'code', outputs=[])[0])
        png = site.base64.b64encode(b'\x89PNG\r\n\x1a\n' + b'\0\0\0\rIHDR' + (40).to_bytes(4, 'big') + (30).to_bytes(4, 'big')).decode()
        text, page = self.page('plot()', 'code', outputs=[dict(output_type='display_data', data={'image/png': png, 'text/plain': 'Figure'})])
        self.assertIn('width="40" height="30"', text); self.assertEqual(list(page.pictures), ['03_x_files/0-0.png'])

    def test_math_needs_no_script(self):
        drawn = site.mathml(r'<span class="arithmatex">\(a_i &lt; b\)</span>')
        self.assertIn('<math', drawn); self.assertNotIn('arithmatex', drawn)

class Checks(unittest.TestCase):
    "Each fault is found, and named with its page."
    good = '<html><body><article><h1 id="top">T</h1>' + 'words ' * 60 + '</article></body></html>'

    def faults(self, extra, **files):
        with tempfile.TemporaryDirectory() as d:
            (Path(d)/'index.html').write_text(self.good.replace('</article>', extra + '</article>'), encoding='utf-8')
            (Path(d)/'other.html').write_text(self.good, encoding='utf-8')
            for name, text in files.items(): (Path(d)/name.replace('_', '.')).write_text(text, encoding='utf-8')
            return site.check(d, site.settings())

    def test_a_good_site_has_none(self):
        self.assertEqual(self.faults('<a href="other.html#top">x</a> <a href="https://example.org">y</a> <a href="https://github.com/ecgclip/ecgclip/blob/main/ecgclip/core.py#L3">z</a>'), [])

    def test_each_fault(self):
        for extra, told in (('<a href="gone.html">x</a>', 'no such page'), ('<a href="other.html#gone">x</a>', 'no such section'), ('<a href="#gone">x</a>', 'no such section'),
                            ('<a href="">x</a>', 'without an address'), ('<img src="gone.png">', 'gone.png is missing'), ('<script src="https://cdn.example/x.js"></script>', 'another host'),
                            ('<link rel="stylesheet" href="//fonts.example/x.css">', 'another host'), ('<a href="https://github.com/ecgclip/ecgclip/blob/main/gone.py">x</a>', 'no such file')):
            found = self.faults(extra)
            self.assertEqual(len(found), 1, (extra, found)); self.assertIn(told, found[0]); self.assertTrue(found[0].startswith('index.html: '))

    def test_fonts_and_empty_pages(self):
        self.assertIn('another host', self.faults('', site_css='@font-face{src:url(https://fonts.example/a.woff)}')[0])
        self.assertEqual(self.faults('', empty_html='<html><article><h1>T</h1></article></html>'), ['empty.html: the page is empty'])

    def test_sidebar(self):
        whole = site.settings()
        whole['website']['sidebar']['contents'] = ['index.ipynb', dict(section='S', contents=['gone.ipynb'])]
        with tempfile.TemporaryDirectory() as d:
            proc, site.proc = site.proc, Path(d)/'proc'
            self.addCleanup(setattr, site, 'proc', proc)
            site.proc.mkdir(); (Path(d)/'docs').mkdir()
            for name in ('index', 'lost'): (site.proc/f'{name}.ipynb').write_text('{"cells": []}')
            nav, faults = site.write_pages(whole, Path(d)/'docs')
        self.assertEqual(nav, ['index.md', {'S': []}])
        self.assertEqual(faults, ['_quarto.yml: the sidebar names gone.ipynb, which is not in nbs/', '_quarto.yml: the sidebar does not name nbs/lost.ipynb'])

@unittest.skipIf(no_browser, no_browser or '')
class Browser(unittest.TestCase):
    "What a reader does, in Chromium."
    @classmethod
    def setUpClass(cls):
        cls.server = site.server(dest)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.home = f'http://127.0.0.1:{cls.server.server_port}/'
        cls.play = sync_playwright().start()
        cls.browser = cls.play.chromium.launch(executable_path=chromium, args=['--no-sandbox'])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close(); cls.play.stop(); cls.server.shutdown(); cls.server.server_close()

    def setUp(self): self.trouble = []

    def open(self, address, width=1280, height=900, scheme='light'):
        context = self.browser.new_context(viewport=dict(width=width, height=height), color_scheme=scheme)
        self.addCleanup(context.close)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on('console', lambda m: self.trouble.append(m.text) if m.type in ('error', 'warning') else None)
        page.on('pageerror', lambda e: self.trouble.append(str(e)))
        page.on('request', lambda r: self.trouble.append(f'asks {r.url}') if not r.url.startswith((self.home, 'data:', 'blob:')) else None)
        page.on('response', lambda r: self.trouble.append(f'{r.status} {r.url}') if r.status >= 400 else None)
        page.goto(self.home + address)
        return page

    def find(self, page, query):
        "Type into the search; the first hit."
        page.locator('.md-search__input').click()
        page.locator('.md-search__input').fill(query)
        hit = page.locator('.md-search-result__item a').first
        hit.wait_for()
        return hit

    def test_search_to_signature_and_figure(self):
        page = self.open('index.html')
        hit = self.find(page, 'pretrain_learner')
        self.assertIn('learner.html', hit.get_attribute('href'))
        hit.click()
        page.wait_for_url('**/learner.html*')
        head = page.locator('[id="pretrain_learner"]')
        head.scroll_into_view_if_needed()
        self.assertTrue(head.is_visible())
        signature = page.locator('.symbol-head:has([id="pretrain_learner"]) + .highlight')
        self.assertIn('def pretrain_learner(', signature.inner_text()); self.assertIn('ecg_encoder', signature.inner_text())
        self.assertRegex(page.locator('.symbol-head:has([id="pretrain_learner"]) .source-link a').get_attribute('href'), r'/ecgclip/learner\.py#L\d+$')
        self.figure(page)
        self.assertEqual(self.trouble, [])

    def figure(self, page):
        picture = page.locator('article img').first
        picture.scroll_into_view_if_needed()
        page.wait_for_function('(i => i.complete && i.naturalWidth > 100)(document.querySelector("article img"))')

    def test_search_in_chinese(self):
        for query in ('心房颤动', '房颤'):
            page = self.open('index.html')
            hit = self.find(page, query)
            self.assertIn(query, (dest/site.urlsplit(hit.get_attribute('href')).path.rsplit('/', 1)[-1]).read_text(encoding='utf-8'))
        self.assertEqual(self.trouble, [])

    def test_every_page(self):
        "No sideways scrolling, no errors, no request to another host, and every picture is drawn: all pages on a phone, some on a desktop."
        names = sorted(p.name for p in dest.glob('*.html') if p.name != '404.html')
        for width, scheme, some in ((390, 'dark', names), (1280, 'light', names[::10])):
            page = self.open('index.html', width, 844, scheme)
            page.route('**/search_index.json', lambda r: r.fulfill(json=dict(config=dict(lang=['en'], separator=' ', pipeline=[], fields={}), docs=[])))  # half of a page's time
            for name in some:
                with self.subTest(page=name, width=width):
                    page.goto(self.home + name)
                    self.assertLessEqual(page.evaluate('document.documentElement.scrollWidth'), width)
                    page.evaluate('document.querySelectorAll("article img").forEach(i => i.loading = "eager")')
                    page.wait_for_function('[...document.querySelectorAll("article img")].every(i => i.complete)')
                    self.assertEqual(page.evaluate('[...document.querySelectorAll("article img")].filter(i => !i.naturalWidth).map(i => i.src)'), [])
        self.assertEqual(self.trouble, [])

    def test_dark_and_light(self):
        dark, light = (self.open('index.html', scheme=s).evaluate('getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)') for s in ('dark', 'light'))
        self.assertLess(dark, 200); self.assertGreater(light, 600)
        page = self.open('index.html')
        page.locator('label.md-header__button[title="Switch to dark"]').click()
        page.wait_for_function('document.body.dataset.mdColorScheme == "slate"')

if __name__ == '__main__':
    if no_browser: print(f'The pages are not looked at in a browser: {no_browser}')
    unittest.main(verbosity=2)
