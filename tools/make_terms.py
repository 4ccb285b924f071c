"""Build the term table of ecgclip.lexicon from its sources.

    python tools/make_terms.py SOURCES --decisions tools/term_decisions.csv --out ecgclip/terms/terms.csv --classes DIR

SOURCES is a folder with `ecg_terms_zh_en_snomed.csv`, `scp_statements_zh.csv` and `hefei_contest_labels_zh.csv`. The decisions
name one row per finding, in the order in which a report states findings: which codes belong together, which findings it
implies, and its wording. In a list of names, `{a|b|}` stands for `a`, `b` or nothing, so that one entry can be many names.
`SPELLINGS` adds what differs by rule; such a spelling gives way to a name that the decisions give to another finding. What the
lexer reads anyway from shorter names is left out of the table. That takes half a minute.

Nothing of the sources may get lost: every code must find its row, and every Chinese name too, unless the decisions drop it.
DIR, if given, is a folder with `merl_protocol/dataset_class_names.json` and `sph/AHA_SNOMED_mapping.csv`; then every class and
AHA code of these must find its row as well. The script stops with a message otherwise.
"""
import argparse, csv, json, re, sys
from collections import defaultdict
from pathlib import Path

from ecgclip.lexicon import CATEGORIES, LANGUAGES, _folded
from ecgclip.lexer import words
from ecgclip.normalise import normalise_report

LETTER, WORD = re.compile('[a-zäöüß]'), re.compile('[a-zäöüß0-9]')
COLUMNS = ('key category order snomed snomed_also abbrev abbrev_also scp chapman hefei cpsc sph ptbxl_classes parents '
           'zh zh_synonyms zh_lookup en en_synonyms en_lookup de de_synonyms de_lookup reviewed').split()
NO_FINDING = {'HYP', 'CD', 'LAFB/LPFB'}  # classes of PTB-XL that join unlike findings
SPELLINGS = dict(                        # upper case and hyphens need none: names are looked up without
    zh=[('传导阻滞', '阻滞'), ('心肌梗死', '心肌梗塞', '心梗'), ('左心室', '左室'), ('右心室', '右室'), ('左心房', '左房'), ('右心房', '右房'),
        ('综合征', '综合症'), ('完全性', '完全'), ('交界性', '交界区'), ('P-R间期', 'PR间期'), ('Q-T间期', 'QT间期')],
    en=[('ischemi', 'ischaemi'), ('repolarization', 'repolarisation'), ('nonspecific', 'non-specific'), ('AV ', 'A-V '),
        ('first-degree', '1st degree'), ('second-degree', '2nd degree'), ('third-degree', '3rd degree')], de=[])
ENDINGS = {'er': 'en em e', 'es': 'en em e', 'e': 'er en'}             # of a German adjective before its noun
PLAIN = dict(zip('äöüÄÖÜß', 'ae oe ue Ae Oe Ue ss'.split()))

def read(path): return list(csv.DictReader(Path(path).read_text(encoding='utf-8-sig').splitlines()))
def split(s, sep=';'): return [o.strip() for o in (s or '').split(sep) if o.strip()]
def unique(xs): return list(dict.fromkeys(xs))

def expand(entry):
    "All names that an entry with `{a|b}` stands for; braces may hold braces."
    m = re.search(r'\{([^{}]*)\}', entry)
    return [n for o in m.group(1).split('|') for n in expand(entry[:m.start()] + o + entry[m.end():])] if m else [entry]

def names(xs):
    "Names as a normalised report spells them, each once."
    return list({_folded(n): n for x in reversed(list(xs)) for e in reversed(expand(x)) if e.strip() for n in [normalise_report(e)]}.values())[::-1]

def spellings(name, language, written):
    "`name` and what `SPELLINGS` makes of it, each group used one way throughout. German: adjectives of `written` names in all cases; no umlauts."
    out = [name]
    for group in SPELLINGS[language]:
        found = re.compile('|'.join(map(re.escape, sorted(group, key=len, reverse=True))))
        out = [v for o in out for v in ([found.sub(g, o) for g in group] if found.search(o) else [o])]
    if language == 'de':
        if written and (m := re.match('([a-zäöüß-]{5,}?)(er|es|e) (?=[A-ZÄÖÜ])', name)): out += [f'{m.group(1)}{e} {name[m.end():]}' for e in ENDINGS[m.group(2)].split()]
        out += [o.translate(str.maketrans(PLAIN)) for o in out] + [o.replace('ß', 'ss') for o in out]
    return out

def main(sources, decisions, out, classes=None):
    sources = Path(sources)
    snomed = {r['snomed']: r for r in read(sources/'ecg_terms_zh_en_snomed.csv')}
    scp = {r['scp_code']: r for r in read(sources/'scp_statements_zh.csv')}
    hefei = {r['zh']: r for r in read(sources/'hefei_contest_labels_zh.csv')}
    code_of = {r['abbrev']: c for c, r in snomed.items() if r['abbrev']}
    rows = read(decisions)
    moved = {a for r in rows for a in split(r['chapman'])}                       # acronyms whose full name says more than their code
    rows.sort(key=lambda r: CATEGORIES.index(r['category']))                     # stable: keeps the order within a category
    table = [build(r, i, snomed, scp, hefei, code_of, moved) for i, r in enumerate(rows)]
    faults = check_codes(table, rows, snomed, scp, hefei) + check_names(table, rows, snomed, scp, hefei)
    if classes: faults += check_classes(table, Path(classes))
    if faults: sys.exit('\n'.join(faults))
    for l in LANGUAGES: spell(table, l)
    if faults := check_languages(table) + prune(table, source_names(snomed, scp, hefei)): sys.exit('\n'.join(faults))
    with open(out, 'w', encoding='utf-8', newline='') as f:
        w = csv.DictWriter(f, COLUMNS, lineterminator='\n'); w.writeheader()
        w.writerows({k: ';'.join(v) if isinstance(v, list) else v for k, v in t.items()} for t in table)
    print(f'{len(table)} findings written to {out}; names: ' + ', '.join(f'{l} {sum(len(every(t, l)) for t in table)}' for l in LANGUAGES))

def every(t, language): return [t[language], *t[f'{language}_synonyms'], *t[f'{language}_lookup']]

def build(r, i, snomed, scp, hefei, code_of, moved):
    codes = split(r['snomed']) or ([code_of[r['key']]] if r['key'] in code_of else [])
    src, more = [snomed[c] for c in codes], split(r['snomed_more'])
    labels = split(r['hefei']) + [z for z, h in hefei.items() if h['snomed'] in codes and h['snomed']]
    found = [s['zh'] for s in src] + [x for s in src for x in split(s['zh_synonyms'])]
    other = [scp[c]['zh'] for c in split(r['scp'])] + labels
    if not (r['zh'] or found + other): sys.exit(f'{r["key"]}: no code of this row is in the sources')
    zh, drop = names([r['zh'] or (found + other)[0]])[0], names(split(r['zh_drop']))
    lookup = names(split(r['zh_lookup']))
    written = [z for z in names(split(r['zh_synonyms'])) if z != zh]
    written = unique(written + [z for z in names(found[1 if not r['zh'] else 0:]) if z not in [zh, *lookup, *drop]])
    lookup = [z for z in unique(lookup + names(other)) if z not in [zh, *written, *drop]]
    abbrevs = [s['abbrev'] for s in src if s['abbrev']]
    chapman = split(r['chapman']) + [a for s in src for a in split(s['chapman_acronyms'], '|') if a not in moved]
    en = r['en'] or (src[0]['en'] if src else scp[split(r['scp'])[0]]['en'])
    codes = [*codes, *more]
    return dict(key=r['key'], category=r['category'], order=10*(i + 1), snomed=codes[0] if codes else '', snomed_also=codes[1:],
        abbrev=abbrevs[0] if abbrevs else '', abbrev_also=abbrevs[1:], scp=split(r['scp']), chapman=unique(chapman), hefei=unique(labels),
        cpsc=split(r['cpsc']), sph=split(r['sph']), ptbxl_classes=split(r['ptbxl_classes']), parents=split(r['parents']),
        zh=zh, zh_synonyms=written, zh_lookup=lookup, **wording(en, r, 'en'), **wording(r['de'], r, 'de'), reviewed='no')

def wording(name, r, language):
    "Name, written and understood names of a row in a language other than Chinese."
    taken, out = {_folded(name)}, {language: name}
    for c in (f'{language}_synonyms', f'{language}_lookup'):
        out[c] = [n for n in names(split(r[c])) if _folded(n) not in taken]
        taken |= {_folded(n) for n in out[c]}
    return out

def spell(table, language):
    "Add the spellings of `SPELLINGS` to the names that are understood."
    given = {_folded(n): t['key'] for t in table for n in every(t, language)}
    made = defaultdict(set)
    def of(t): return (v for i, n in enumerate(every(t, language)) for v in spellings(n, language, i <= len(t[f'{language}_synonyms'])))
    variants = {t['key']: [v for v in map(normalise_report, of(t)) if _folded(v) not in given] for t in table}
    for k, vs in variants.items():
        for v in vs: made[_folded(v)].add(k)
    if faults := [f'the spelling {v!r} names {sorted(k)}' for v, k in made.items() if len(k) > 1]: sys.exit('\n'.join(faults))
    for t in table: t[f'{language}_lookup'] = t[f'{language}_lookup'] + list({_folded(v): v for v in variants[t['key']]}.values())

def found(text, names, longest):
    "The keys that `names` gives when it reads `text` from the left, the longest name first. Latin words are read whole."
    text, i, keys = _folded(text), 0, set()
    def starts(i): return not (i and WORD.match(text[i]) and WORD.match(text[i - 1]))
    def ends(j): return not (j < len(text) and (LETTER.match(text[j - 1]) and LETTER.match(text[j]) or text[j - 1].isdigit() and text[j].isdigit()))
    while i < len(text):
        j = next((j for j in range(min(len(text), i + longest), i, -1) if text[i:j] in names and ends(j)), None) if starts(i) else None
        if j: keys.add(names[text[i:j]])
        i = j or i + 1
    return keys

def prune(table, keep):
    "Leave out what is understood anyway: a lookup name in which the lexer's words and the other names give its finding and nothing else. `keep` stays."
    other = {_folded(w): kind for kind, ms in words().items() if kind not in ('find', 'grade') for ws in ms.values() for w in ws}
    names = {_folded(n) + s: t['key'] for t in table for l in LANGUAGES for n in every(t, l) for s in ('', 's')[:1 + (l == 'en' and n[-1] not in 's)')]}
    names = other | names | {w: kind for w, kind in other.items() if kind in ('part', 'predicate')}   # as the lexer ranks them
    lookup = sorted({(_folded(n), t['key']) for t in table for l in LANGUAGES for n in t[f'{l}_lookup']}, key=lambda p: (-len(p[0]), p))
    fixed = {_folded(n) for t in table for l in LANGUAGES for n in (t[l], *t[f'{l}_synonyms'])} | set(map(_folded, keep))
    lookup, longest, kept = [p for p in lookup if p[0] not in fixed and names[p[0]] == p[1]], max(map(len, names)), set()
    for n, k in lookup:
        names.pop(n)
        if found(n, names, longest) != {k}: names[n] = k; kept.add(n)
    while lost := [(n, k) for n, k in lookup if n not in kept and found(n, names, longest) != {k}]:
        kept |= {n for n, _ in lost}; names |= dict(lost)
    for t in table:
        for l in LANGUAGES: t[f'{l}_lookup'] = [n for n in t[f'{l}_lookup'] if _folded(n) in kept | fixed or _folded(n) in other]
    return [f'{n!r} of {k} is read as {sorted(got)}' for n, k in sorted(names.items()) if n not in other and (got := found(n, names, longest)) != {k}]

def once(what, wanted, got):
    return ([f'{what} {c!r} is in no row' for c in sorted(set(wanted) - set(got))] + [f'{what} {c!r} is in {got.count(c)} rows' for c in sorted(set(got)) if got.count(c) > 1] +
            [f'{what} {c!r} is in no source' for c in sorted(set(got) - set(wanted))])

def check_codes(table, rows, snomed, scp, hefei):
    keys, more = {t['key'] for t in table}, [c for r in rows for c in split(r['snomed_more'])]
    faults = once('SNOMED code', [*snomed, *more], [c for t in table for c in [t['snomed'], *t['snomed_also']] if c])
    faults += once('SCP code', scp, [c for t in table for c in t['scp']])
    faults += once('Chapman acronym', [a for s in snomed.values() for a in split(s['chapman_acronyms'], '|')], [c for t in table for c in t['chapman']])
    faults += once('Hefei class', hefei, [c for t in table for c in t['hefei']])
    faults += once('key', keys, [t['key'] for t in table])
    for c in ('cpsc', 'sph', 'ptbxl_classes'): faults += once(c, {o for t in table for o in t[c]}, [o for t in table for o in t[c]])
    return faults + [f'{t["key"]}: unknown parent {p!r}' for t in table for p in t['parents'] if p not in keys]

def check_names(table, rows, snomed, scp, hefei):
    faults = []
    for l in LANGUAGES:
        where = defaultdict(set)
        for t in table:
            for n in every(t, l): where[_folded(n)].add(t['key'])
        faults += [f'{n!r} names {sorted(k)}' for n, k in where.items() if len(k) > 1]
        faults += [f'{n!r} of {sorted(k)} holds a comma or a semicolon' for n, k in where.items() if re.search('[,;，；|{}]', n)]
        if l == 'zh': known = set(where)
    dropped = {z for r in rows for z in names(split(r['zh_drop']))}
    return faults + [f'{z!r} is lost' for z in source_names(snomed, scp, hefei) if _folded(z) not in known and z not in dropped]

def source_names(snomed, scp, hefei):
    return names([z for s in snomed.values() for z in [s['zh'], *split(s['zh_synonyms'])]] + [s['zh'] for s in scp.values()] + list(hefei))

def check_languages(table):
    "A name must mean the same in all languages, since a report may mix them."
    where = defaultdict(set)
    for t in table:
        for l in LANGUAGES:
            for n in every(t, l): where[_folded(n)].add(t['key'])
    return [f'{n!r} names {sorted(k)}' for n, k in where.items() if len(k) > 1]

def check_classes(table, folder):
    "Every class name of MERL's tasks and every AHA code of the SPH map must have its row, and the latter the right one."
    tasks = json.loads((folder/'merl_protocol'/'dataset_class_names.json').read_text(encoding='utf-8'))
    have = {c: {o for t in table for o in t[c]} for c in ('cpsc', 'ptbxl_classes', 'chapman')}
    column = dict(icbeb='cpsc', chapman='chapman')
    faults = [f'class {o!r} of {k} is in no row' for k, os in tasks.items() for o in os if o not in have[column.get(k, 'ptbxl_classes')] | NO_FINDING]
    parents, codes = {t['key']: t['parents'] for t in table}, {t['key']: {t['snomed'], *t['snomed_also']} for t in table}
    def meant(k): return codes[k].union(*map(meant, parents[k]))
    row = {c: t['key'] for t in table for c in t['sph']}
    for r in read(folder/'sph'/'AHA_SNOMED_mapping.csv'):
        if r['AHA_Code'] not in row: faults.append(f'AHA code {r["AHA_Code"]} is in no row')
        elif r['SNOMEDCTCode'] not in meant(row[r['AHA_Code']]): faults.append(f'AHA code {r["AHA_Code"]} is {row[r["AHA_Code"]]}, which is not SNOMED CT {r["SNOMEDCTCode"]}')
    return faults

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('sources', help='folder with the three source tables')
    p.add_argument('--decisions', default=Path(__file__).with_name('term_decisions.csv'), help='one row per finding')
    p.add_argument('--out', default=Path(__file__).parents[1]/'ecgclip'/'terms'/'terms.csv', help='the table to write')
    p.add_argument('--classes', help='folder with the class names and codes of CPSC 2018, PTB-XL and SPH, to check them too')
    main(**vars(p.parse_args()))
