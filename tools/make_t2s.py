"""Make the table of traditional and simplified Chinese characters: `python tools/make_t2s.py`

The source is OpenCC (Apache-2.0), `pip install opencc`: each character is converted by itself, by its configuration `t2s`. What is written,
`ecgclip/terms/t2s.txt`, holds pairs such as `竇窦`, twenty a line. A character of GB 2312 can stand in simplified text, so those are
left alone (`著` in `显著`, `乾`), but for the few below. The same source gives the same bytes.
"""
from pathlib import Path

import opencc

DEST = Path(__file__).parent.parent/'ecgclip/terms/t2s.txt'
ALWAYS = set('後徵於')       # in GB 2312, but simplified reports don't write them: 後壁, 綜合徵, 低於
NEVER = set('苧')            # 薴 becomes it, and it would become 苎
OWN = {'汙': '污'}           # a variant that OpenCC leaves alone
BLOCKS = [(0x3400, 0x4DC0), (0x4E00, 0xA000)]

def in_gb2312(c):
    "Whether simplified text can hold `c`."
    try: return bool(c.encode('gb2312'))
    except UnicodeEncodeError: return False

def pairs():
    "Traditional -> simplified, one character each."
    convert = opencc.OpenCC('t2s').convert
    table = {c: convert(c) for c in (chr(i) for a, b in BLOCKS for i in range(a, b))} | OWN
    return {t: s for t, s in table.items() if s != t and len(s) == 1 and ord(s) < 0x10000 and t not in NEVER and (t in ALWAYS or not in_gb2312(t))}

def main():
    table = pairs()
    chained = sorted(s for s in table.values() if s in table)
    if chained: raise SystemExit(f'{chained} are on both sides: converting twice would not be converting once')
    words = [t + s for t, s in sorted(table.items())]
    DEST.write_text('\n'.join(' '.join(words[i:i + 20]) for i in range(0, len(words), 20)) + '\n', encoding='utf-8')
    print(f'{DEST}: {len(words)} characters, {DEST.stat().st_size/1e3:.0f} kB')

if __name__ == '__main__': main()
