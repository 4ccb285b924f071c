"""How well reports are read: labelled sentences, codes of real records, speed.

    python benchmarks/reports.py [--data DIR] [--half dev] [--disagreements N]

The labelled sentences are in benchmarks/reports: `dev.jsonl`, on which rules were made, and `test.jsonl`, on which none was (`--half dev test`).
Four test sets, written independently of the rules, were scored once each; results/reports_tests.json holds what they gave when they were new. The
third is `test.jsonl`, the others joined dev.
With --data, the reports of PTB-XL in DIR/ptbxl are read too and compared with the codes that cardiologists gave the same records.
Writes benchmarks/results/reports.json."""
import argparse, datetime, json, os, platform, random, re, time, timeit
from collections import Counter, defaultdict
from pathlib import Path

from ecgclip import reports as R
from ecgclip.reports import STATUSES, compose_report, extract_findings, find_term, implied_by, normalise_report, parse_scp, terms

here = Path(__file__).resolve().parent

def processor():
    "The processor's name, as the system tells it."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

# ---- labelled sentences

def labelled(half):
    "Rows of a half: text, language, style, findings."
    return [json.loads(l) for l in (here/'reports'/f'{half}.jsonl').read_text(encoding='utf-8').splitlines() if l]

def f1(tp, fp, fn): return round(2*tp/(2*tp + fp + fn), 4) if tp + fp + fn else None

def interval(rows, status, n=1000, seed=0):
    "95 % interval of F1 over resampled sentences."
    rng, counts = random.Random(seed), [r['counts'][status] for r in rows]
    draws = sorted(f1(*map(sum, zip(*rng.choices(counts, k=len(counts))))) or 0 for _ in range(n))
    return [draws[int(n*.025)], draws[int(n*.975)]]

def counted(row):
    "For each status (true positives, false positives, false negatives) of a sentence."
    got, want = {(f.key, f.status) for f in extract_findings(row['text'])}, {(f['key'], f['status']) for f in row['findings']}
    def of(s): return tuple(sum(k[1] == s or s == 'all' for k in ks) for ks in (got & want, got - want, want - got))
    return row | dict(counts={s: of(s) for s in (*STATUSES, 'all')}, missed=sorted(want - got), extra=sorted(got - want))

def scores(half, language=None):
    rows = [counted(r) for r in labelled(half) if language in (None, r['language'])]
    out = {}
    for s in (*STATUSES, 'all'):
        tp, fp, fn = map(sum, zip(*(r['counts'][s] for r in rows)))
        out[s] = dict(f1=f1(tp, fp, fn), interval=interval(rows, s), labels=tp + fn, wrong=fp, missed=fn)
    return out | dict(sentences=len(rows), exact=round(sum(not r['missed'] and not r['extra'] for r in rows)/len(rows), 4))

# ---- codes of real records

def language(text): return 'de' if re.search('rhythmus|lagetyp|linkstyp|rechtstyp|infarkt|ableitung|ekg|steiltyp|flimmern|niederspannung|arrhythmie', text) else 'en'

def closure(keys): return set(keys).union(*map(implied_by, keys))

def records(folder):
    "`(id, report, codes)` of PTB-XL, each record once, and of its English translation."
    import pandas as pd
    tables = [('original', 'ptbxl_database.csv', 'report'), ('original', 'ptbxl_reports_form.csv', 'report'), ('translated', 'ptbxl_reports_english_test.csv', 'report_english')]
    seen = set()
    for source, name, column in tables:
        for row in pd.read_csv(folder/name).itertuples():
            text = str(getattr(row, column)).split('Edit:')[0]       # what a second reader added holds the codes themselves
            if (source, row.ecg_id) in seen or not any(c.isalnum() for c in text): continue
            seen.add((source, row.ecg_id))
            yield source, row.ecg_id, text, parse_scp(row.scp_codes)

def agreement(folder, show=0):
    "Per finding and language: records whose codes and report both have it, only the codes, only the report."
    counts, shown = defaultdict(lambda: defaultdict(Counter)), defaultdict(list)
    coded = {find_term(c, 'scp').key for t in terms() for c in t.scp}
    for source, i, text, codes in records(folder):
        lang = 'en, translated' if source == 'translated' else language(text.lower())
        want = closure({find_term(c, 'scp').key for c in codes}) & coded
        try: found = extract_findings(text)
        except R.ReportError: continue
        got = closure({f.key for f in found if f.status in ('present', 'uncertain')}) & coded
        for k in want | got:
            which = 'both' if k in want and k in got else 'codes only' if k in want else 'report only'
            counts[lang][k][which] += 1
            if which != 'both': shown[lang, k, which].append((i, text[:160]))
        counts[lang]['records']['records'] += 1
    out = {}
    for lang, of in counts.items():
        rows = {k: dict(c, f1=f1(c['both'], c['report only'], c['codes only'])) for k, c in of.items() if k != 'records' and c['both'] + c['codes only'] >= 10}
        out[lang] = dict(records=of['records']['records'], findings=dict(sorted(rows.items(), key=lambda r: -(r[1].get('both', 0) + r[1].get('codes only', 0)))))
    for (lang, k, which), some in sorted(shown.items(), key=lambda s: -len(s[1]))[:show]:
        print(f'\n{lang} {k} {which}: {len(some)}')
        for i, t in random.Random(0).sample(some, min(5, len(some))): print('   ', i, t)
    return out

# ---- speed

def distinct_reports(n, seed=0):
    "Distinct written reports of one to six findings in all styles, two thirds of them Chinese."
    rng, keys, out = random.Random(seed), [t.key for t in terms()], {}
    while len(out) < n:
        fs = [R.Finding(k, rng.choice(('present',)*4 + STATUSES)) for k in rng.sample(keys, rng.randint(1, 6))]
        measured = dict(HR=rng.randint(40, 160), PR=rng.randint(110, 260), QTc=rng.randint(360, 520)) if rng.random() < .4 else None
        out[compose_report(fs, rng.choice(('zh', 'zh', 'en')), seed=rng.random(), measured=measured).text] = 1
    return list(out)

def rate(texts):
    "Reports a second of one core's time: the best of three sets, each read once, after a fourth was read (words of clauses are kept, as in a long run)."
    quarters = [texts[i::4] for i in range(4)]
    for t in quarters[0]: extract_findings(t)
    best = 0
    for part in quarters[1:]:
        start = time.process_time()
        for t in part: extract_findings(t)
        best = max(best, len(part)/(time.process_time() - start))
    return round(best)

def unit():
    "Microseconds of a plain loop of the interpreter (the sum of 1000 numbers): how fast this core is at the moment."
    return round(min(timeit.repeat(lambda: sum(range(1000)), number=1000, repeat=9, timer=time.process_time))*1000, 1)

def speed(folder=None):
    extract_findings('窦性心律'), extract_findings('sinus rhythm')             # the patterns are built at the first use
    written = distinct_reports(40000)
    sets = dict(chinese=[t for t in written if R.has_han(t)], english=[t for t in written if not R.has_han(t)])
    if folder: sets['ptbxl'] = list(dict.fromkeys(t for s, _, t, _ in records(folder) if s == 'original'))
    return dict(plain_loop_us=unit()) | {k: dict(reports=len(ts), characters=round(sum(map(len, ts))/len(ts)), per_second=rate(ts)) for k, ts in sets.items()}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, help='a folder with ptbxl/, for the agreement with codes')
    p.add_argument('--half', nargs='+', default=['dev'])
    p.add_argument('--disagreements', type=int, default=0, metavar='N', help='print examples of the N largest disagreements')
    p.add_argument('--show', action='store_true', help='print sentences that are read differently from their labels (dev half only)')
    a = p.parse_args()
    out = dict(date=str(datetime.date.today()), machine=dict(processor=processor(), processors=os.cpu_count(), python=platform.python_version()),
               labelled={h: {l or 'all': scores(h, l) for l in (None, 'zh', 'en', 'de')} for h in a.half}, speed=speed(a.data and a.data/'ptbxl'))
    if a.show:
        for r in map(counted, labelled('dev')):
            if r['missed'] or r['extra']: print(r['text'], '\n    missed', r['missed'], 'extra', r['extra'])
    if a.data: out['agreement'] = agreement(a.data/'ptbxl', a.disagreements)
    for h, by in out['labelled'].items():
        for l, s in by.items(): print(f"{h:4} {l:3} {s['sentences']:4} sentences  " + '  '.join(f"{k} {s[k]['f1']} {s[k]['interval']}" for k in (*STATUSES, 'all')))
    print(json.dumps(out['speed'], indent=1))
    if a.data:
        for lang, o in out['agreement'].items():
            print(f'\n{lang}: {o["records"]} records')
            for k, c in o['findings'].items(): print(f'  {k:8} {find_term(k, "key").en[:44]:44} both {c.get("both", 0):5} codes only {c.get("codes only", 0):5} report only {c.get("report only", 0):5} F1 {c["f1"]}')
    (here/'results'/'reports.json').write_text(json.dumps(out, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')

if __name__ == '__main__': main()
