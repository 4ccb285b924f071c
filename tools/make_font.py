"""Make the Chinese font that comes with the package: `python tools/make_font.py [DroidSansFallbackFull.ttf]`

The source is Droid Sans Fallback (Google, Apache-2.0), on Debian and Ubuntu from `apt-get install fonts-droid-fallback`.
What is written, `ecgclip/fonts/ecgclip-cjk.ttf`, holds the Chinese characters of GB 2312 and the punctuation of Chinese
text. Latin letters, Greek, arrows and Roman numerals are not in the source; matplotlib takes those from its own DejaVu Sans.
The same source gives the same bytes. Needs `pip install fonttools`.
"""
import argparse, hashlib
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

SOURCE = Path('/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf')
SHA256 = 'acb6440a713d880a13a21b468ba7cd43f5a2b2934972e51be791c880730777b8'  # version 1:6.0.1r16 of the Debian package
DEST = Path(__file__).parent.parent/'ecgclip/fonts/ecgclip-cjk.ttf'
FAMILY = 'ecgclip CJK'  # another name than the source's, so that an installed Droid can't be taken for this file
NAMES = {1: FAMILY, 2: 'Regular', 3: f'{FAMILY} 1.0', 4: FAMILY, 6: 'ecgclipCJK-Regular',
         10: 'Changed by the ecgclip developers: a subset of Droid Sans Fallback 1.00c without hinting, renamed.'}

def gb2312(first, last):
    "The characters of rows `first` to `last` of GB 2312."
    cells = (bytes([0xa0+row, 0xa0+cell]) for row in range(first, last+1) for cell in range(1, 95))
    return ''.join(c.decode('gb2312', errors='ignore') for c in cells)

def characters():
    "Both levels of GB 2312 (6763 characters), its symbols, CJK punctuation and the full-width forms."
    blocks = [(0x3000, 0x303f), (0xff01, 0xff60), (0xffe0, 0xffe6)]
    return gb2312(1, 3) + gb2312(16, 87) + ''.join(chr(i) for a, b in blocks for i in range(a, b+1))

def subset(source):
    "The font at `source` cut down to `characters`: no hinting, no layout tables, a name of its own."
    font = TTFont(source, recalcTimestamp=False)
    options = Options(hinting=False, layout_features=[], glyph_names=False, name_IDs=['*'], notdef_outline=True)
    options.drop_tables += ['GDEF', 'GPOS', 'GSUB', 'vhea', 'vmtx', 'gasp']
    cut = Subsetter(options)
    cut.populate(text=characters())
    cut.subset(font)
    for i, name in NAMES.items(): font['name'].setName(name, i, 3, 1, 0x409)
    return font

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', nargs='?', type=Path, default=SOURCE)
    source = parser.parse_args().source
    if not source.is_file(): parser.error(f'{source} is not there: apt-get install fonts-droid-fallback')
    if hashlib.sha256(source.read_bytes()).hexdigest() != SHA256: print(f'note: {source} is another version than the one last used')
    DEST.parent.mkdir(exist_ok=True)
    font = subset(source)
    font.save(DEST)
    print(f'{DEST}: {len(font.getBestCmap())} characters, {DEST.stat().st_size/1e6:.2f} MB')

if __name__ == '__main__': main()
