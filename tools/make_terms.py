"""Build the term table of ecgclip.reports from its sources.

    python tools/make_terms.py SOURCES --decisions tools/term_decisions.csv --out ecgclip/terms/terms.csv

SOURCES is a folder with `ecg_terms_zh_en_snomed.csv`, `scp_statements_zh.csv` and `hefei_contest_labels_zh.csv`. The decisions
name one row per finding, in the order in which a report states findings: which codes belong together, which findings it
implies, and wording that differs from the sources. Nothing of the sources may get lost: every code must find its row, and
every Chinese name too, unless the decisions drop it. The script stops with a message otherwise.
"""
import argparse, csv, sys
from collections import defaultdict
from pathlib import Path

from ecgclip.reports import CATEGORIES, normalise_report

COLUMNS = ('key category order snomed snomed_also abbrev abbrev_also scp chapman hefei parents '
           'zh zh_synonyms zh_lookup en en_synonyms reviewed').split()

def read(path): return list(csv.DictReader(Path(path).read_text(encoding='utf-8-sig').splitlines()))
def split(s, sep=';'): return [o.strip() for o in (s or '').split(sep) if o.strip()]
def unique(xs): return list(dict.fromkeys(xs))
def names(xs): return unique(normalise_report(x) for x in xs)

def main(sources, decisions, out):
    sources = Path(sources)
    snomed = {r['snomed']: r for r in read(sources/'ecg_terms_zh_en_snomed.csv')}
    scp = {r['scp_code']: r for r in read(sources/'scp_statements_zh.csv')}
    hefei = {r['zh']: r for r in read(sources/'hefei_contest_labels_zh.csv')}
    code_of = {r['abbrev']: c for c, r in snomed.items() if r['abbrev']}
    rows = read(decisions)
    moved = {a for r in rows for a in split(r['chapman'])}                       # acronyms whose full name says more than their code
    rows.sort(key=lambda r: CATEGORIES.index(r['category']))                     # stable: keeps the order within a category
    table = [build(r, i, snomed, scp, hefei, code_of, moved) for i, r in enumerate(rows)]
    check(table, rows, snomed, scp, hefei)
    with open(out, 'w', encoding='utf-8', newline='') as f:
        w = csv.DictWriter(f, COLUMNS, lineterminator='\n'); w.writeheader()
        w.writerows({k: ';'.join(v) if isinstance(v, list) else v for k, v in t.items()} for t in table)
    print(f'{len(table)} findings written to {out}')

def build(r, i, snomed, scp, hefei, code_of, moved):
    codes = split(r['snomed']) or ([code_of[r['key']]] if r['key'] in code_of else [])
    src = [snomed[c] for c in codes]
    labels = split(r['hefei']) + [z for z, h in hefei.items() if h['snomed'] in codes and h['snomed']]
    found = [s['zh'] for s in src] + [x for s in src for x in split(s['zh_synonyms'])]
    other = [scp[c]['zh'] for c in split(r['scp'])] + labels
    if not (r['zh'] or found + other): sys.exit(f'{r["key"]}: no code of this row is in the sources')
    zh = names([r['zh'] or (found + other)[0]])[0]
    lookup, drop = names(split(r['zh_lookup'])), names(split(r['zh_drop']))
    written = [z for z in names(found[1 if not r['zh'] else 0:] + split(r['zh_synonyms'])) if z not in [zh, *lookup, *drop]]
    lookup = [z for z in unique(lookup + names(other)) if z not in [zh, *written, *drop]]
    abbrevs = [s['abbrev'] for s in src if s['abbrev']]
    chapman = split(r['chapman']) + [a for s in src for a in split(s['chapman_acronyms'], '|') if a not in moved]
    en = r['en'] or (src[0]['en'] if src else scp[split(r['scp'])[0]]['en'])
    return dict(key=r['key'], category=r['category'], order=10*(i + 1), snomed=codes[0] if codes else '', snomed_also=codes[1:],
        abbrev=abbrevs[0] if abbrevs else '', abbrev_also=abbrevs[1:], scp=split(r['scp']), chapman=unique(chapman),
        hefei=unique(labels), parents=split(r['parents']), zh=zh, zh_synonyms=written, zh_lookup=lookup, en=en,
        en_synonyms=[e for e in split(r['en_synonyms']) if e != en], reviewed='no')

def check(table, rows, snomed, scp, hefei):
    faults, keys = [], {t['key'] for t in table}
    def once(what, wanted, got):
        faults.extend(f'{what} {c!r} is in no row' for c in set(wanted) - set(got))
        faults.extend(f'{what} {c!r} is in {got.count(c)} rows' for c in set(got) if got.count(c) > 1)
        faults.extend(f'{what} {c!r} is in no source' for c in set(got) - set(wanted))
    once('SNOMED code', snomed, [c for t in table for c in [t['snomed'], *t['snomed_also']] if c])
    once('SCP code', scp, [c for t in table for c in t['scp']])
    once('Chapman acronym', [a for s in snomed.values() for a in split(s['chapman_acronyms'], '|')], [c for t in table for c in t['chapman']])
    once('Hefei class', hefei, [c for t in table for c in t['hefei']])
    once('key', keys, [t['key'] for t in table])
    where = defaultdict(set)
    for t in table:
        for z in [t['zh'], *t['zh_synonyms'], *t['zh_lookup']]: where[z].add(t['key'])
        faults += [f'{t["key"]}: unknown parent {p!r}' for p in t['parents'] if p not in keys]
    faults += [f'{z!r} names {sorted(k)}' for z, k in where.items() if len(k) > 1]
    dropped = {z for r in rows for z in names(split(r['zh_drop']))}
    sources = [z for s in snomed.values() for z in [s['zh'], *split(s['zh_synonyms'])]] + [s['zh'] for s in scp.values()] + list(hefei)
    faults += [f'{z!r} is lost' for z in names(sources) if z not in where and z not in dropped]
    if faults: sys.exit('\n'.join(faults))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('sources', help='folder with the three source tables')
    p.add_argument('--decisions', default=Path(__file__).with_name('term_decisions.csv'), help='one row per finding')
    p.add_argument('--out', default=Path(__file__).parents[1]/'ecgclip'/'terms'/'terms.csv', help='the table to write')
    main(**vars(p.parse_args()))
