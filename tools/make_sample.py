"""Build the embedded sample `ecgclip/sample` from a folder of public 12-lead records.

    python tools/make_sample.py FOLDER [--dest ecgclip/sample]

FOLDER holds `ptbxl/` (PTB-XL's own tables and files) and `chapman_ningbo/`, `cpsc2018/`, `cpsc2018_extra/`, `georgia/`,
`ptbxl_challenge/` (records as the PhysioNet/CinC Challenge 2020/2021 distributes them, each with a `records.csv`).
The result is the same at every run. Samples are stored losslessly (WFDB format 516, FLAC), which is checked here for every record.
"""
import argparse, ast, csv, hashlib, io, math, shutil, tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import soundfile as sf
import wfdb
from ecgclip.reports import parse_dx, parse_scp, write_headline

N, FS = 5000, 500
LEADS = 'I II III aVR aVL aVF V1 V2 V3 V4 V5 V6'.split()
CHALLENGE = ('chapman_ningbo', 'cpsc2018', 'cpsc2018_extra', 'georgia', 'ptbxl_challenge')
NORMAL, KEEP_NORMAL = frozenset({'NORM', 'SR'}), 45  # the one label set that is thinned out, and to how many
TEST_SHARE, MOST_TEST = .54, 26  # of the patients with one headline
VALID_SHARE = .2                  # of the others
LIMIT = 12_000_000                                  # bytes, all files together
COLUMNS = 'record source path split patient_id sex age scp_codes snomed flat report_original report_language'.split()

def key(*parts):  # a fixed order that looks random
    return hashlib.sha256('/'.join(map(str, parts)).encode()).hexdigest()

# --- which records there are ---------------------------------------------------------------------------------------------

def rows(path):
    with open(path, encoding='utf-8-sig', newline='') as f: return list(csv.DictReader(f))

def number(s):  # '73.0' -> '73'; unknown -> ''
    return '' if s.strip().lower() in ('', 'nan', 'unknown') else f'{float(s):g}'

WORDS = dict(de='sinusrhythmus sinusbradykardie sinustachykardie linkstyp rechtstyp steiltyp lagetyp normales ekg vorhofflimmern infarkt '
                'schenkelblock nicht und oder schrittmacher überdrehter verdacht bei niederspannung unspezifischer linkshypertrophie t-veränderung'.split(),
             en='sinus rhythm normal ecg left right axis deviation infarction probable and consider otherwise trace only requested with this may'.split(),
             sv='sinusrytm normalt frontalplan förmaksflimmer ej vänster höger skänkelblock pacemaker-ekg sinusbradykardi'.split())

def language(report):
    "de, en or sv by the words of a report; empty where they do not decide (PTB-XL does not publish the language)."
    words = Counter(w.strip('.,:;()') for w in report.lower().split())
    score = sorted(((sum(words[w] for w in ws), l) for l, ws in WORDS.items()), reverse=True)
    return score[0][1] if score[0][0] > score[1][0] else ''

def ptbxl(folder):
    for r in rows(folder/'ptbxl'/'ptbxl_database.csv'):
        rep = r['report'].strip()
        yield dict(record=Path(r['filename_hr']).name, source='ptbxl', file=folder/'ptbxl'/r['filename_hr'],
                   patient_id=f"ptbxl-{number(r['patient_id'])}", sex={'0': 'male', '1': 'female'}.get(number(r['sex']), ''),
                   age=number(r['age']), scp_codes=r['scp_codes'], snomed='', report_original=rep,
                   report_language=language(rep),
                   labels=frozenset(c + '?'*(0 < p < 50) for c, p in ast.literal_eval(r['scp_codes']).items()))  # a report calls these possible

def challenge(folder, source, patients):
    for r in rows(folder/source/'records.csv'):
        codes = list(dict.fromkeys(c for c in r['dx'].split(',') if c))  # a header may repeat a code
        yield dict(record=r['record'], source=source, file=folder/source/r['record'], patient_id=patients.get(r['record'], ''),
                   sex=r['sex'].lower() if r['sex'] in ('Male', 'Female') else '', age=number(r['age']), scp_codes='',
                   snomed=','.join(codes), report_original='', report_language='', labels=frozenset(codes))

def ptbxl_patients(folder):
    "Record name in the Challenge's PTB-XL -> patient, where a table tells."
    tables = rows(folder/'ptbxl'/'ptbxl_database.csv') + rows(folder/'ptbxl'/'ptbxl_reports_form.csv')
    return {f"HR{int(r['ecg_id']):05d}": f"ptbxl-{number(r['patient_id'])}" for r in tables}

def read(r):
    "(5000, 12) int16 samples of the first ten seconds, and the header's gain and baseline."
    rec = wfdb.rdrecord(str(r['file']), physical=False, sampto=N)
    d, where = rec.d_signal, r['file']
    assert rec.fs == FS and d.shape == (N, 12), f'{where}: {rec.fs} Hz, {d.shape}'
    assert [l.lower() for l in rec.sig_name] == [l.lower() for l in LEADS], f'{where}: {rec.sig_name}'
    assert {u.lower() for u in rec.units} == {'mv'}, f'{where}: {rec.units}'
    assert set(rec.adc_gain) == {1000.} and set(rec.baseline) == {0}, f'{where}: gain {rec.adc_gain}, baseline {rec.baseline}'
    assert d.min() > -32768 and d.max() <= 32767, f'{where}: outside of 16 bits or invalid samples'
    return d.astype(np.int16)

def candidates(folder):
    "Records worth having: with codes, of a known patient where the source has patients, no signal twice."
    patients, seen, out, dropped = ptbxl_patients(folder), {}, [], []
    of_ptbxl = list(ptbxl(folder))
    known = {r['patient_id'] for r in of_ptbxl}
    for r in of_ptbxl + [r for s in CHALLENGE for r in challenge(folder, s, patients)]:
        why, hr = '', r['source'] == 'ptbxl_challenge'
        if not r['labels']: why = 'no codes'
        elif hr and not r['patient_id']: why = 'its patient in PTB-XL is not known'
        elif hr and r['patient_id'] in known: why = 'its patient is in ptbxl already'
        else:
            r['signal'] = read(r)
            h = hashlib.sha256(r['signal'].tobytes()).hexdigest()
            r['flat'] = ' '.join(l for l, x in zip(LEADS, r['signal'].T) if np.ptp(x) == 0)
            if h in seen: why = f'same signal as {seen[h]}'
            else: seen[h] = f"{r['source']}/{r['record']}"
        if why: dropped.append((f"{r['source']}/{r['record']}", why))
        else: out.append(r)
    return out, dropped

def thin(records, dropped):
    "Keep `KEEP_NORMAL` of the plain normal PTB-XL records."
    plain = sorted((r for r in records if r['labels'] == NORMAL), key=lambda r: key('thin', r['record']))
    away = {r['record'] for r in plain[KEEP_NORMAL:]}
    dropped += [(f"ptbxl/{r}", 'plain normal, thinned out') for r in sorted(away)]
    return [r for r in records if r['record'] not in away]

# --- split by patient, the same label sets on both sides as far as possible -------------------------------------------------

def headline(r):
    "The main conclusion of a record's codes."
    return write_headline(parse_scp(r['scp_codes']) if r['scp_codes'] else parse_dx(r['snomed']), system='scp' if r['scp_codes'] else 'snomed')

def split(records):
    """Mark each record train, valid or test. Patients stay whole; each headline (the main conclusion of the codes) is shared out, but at
    most MOST_TEST of one go to the test, so that answering with the most common report is not worth much there."""
    units = defaultdict(list)  # patient -> records
    for r in records: units[r['patient_id'] or f"{r['source']}/{r['record']}"].append(r)
    groups = defaultdict(list)  # headline -> patients, in an order that is always the same
    for u in sorted(units, key=lambda u: key('split', u)): groups[headline(units[u][0])].append(u)
    for us in groups.values():
        n_test = min(MOST_TEST, math.floor(len(us)*TEST_SHARE + .5))
        n_valid = math.floor((len(us) - n_test)*VALID_SHARE + .5) if len(us) > 2 else 0
        for i, u in enumerate(us):
            for r in units[u]: r['split'] = 'test' if i < n_test else 'valid' if i < n_test + n_valid else 'train'

# --- files ----------------------------------------------------------------------------------------------------------------

def flac(d):
    b = io.BytesIO()
    sf.write(b, d, FS, format='FLAC', subtype='PCM_16', compression_level=1.)
    return b.getvalue()

def write(r, dest):
    "One WFDB record of two FLAC files (FLAC takes at most eight channels), limb leads and chest leads."
    d, name, folder = r['signal'], r['record'], dest/r['source']
    folder.mkdir(exist_ok=True)
    lines = [f'{name} 12 {FS} {N}']
    for part, cols in (('limb', range(6)), ('chest', range(6, 12))):
        (folder/f'{name}_{part}.dat').write_bytes(flac(d[:, list(cols)]))
        lines += [f'{name}_{part}.dat 516 1000(0)/mV 16 0 {d[0, i]} {_int16(d[:, i].sum(dtype=np.int64))} 0 {LEADS[i]}' for i in cols]
    lines += [f"#Age: {r['age'] or 'NaN'}", f"#Sex: {r['sex'].capitalize() or 'Unknown'}"] + ([f"#Dx: {r['snomed']}"] if r['snomed'] else [])
    (folder/f'{name}.hea').write_text('\n'.join(lines) + '\n', encoding='ascii', newline='\n')
    r['path'] = f"{r['source']}/{name}.hea"

def _int16(x): return (int(x) + 32768) % 65536 - 32768

def verify(r, dest):
    "What wfdb reads back equals what wfdb reads from the source, bit by bit."
    back = wfdb.rdrecord(str(dest/r['path'])[:-4], physical=False)
    assert np.array_equal(back.d_signal, wfdb.rdrecord(str(r['file']), physical=False, sampto=N).d_signal), r['path']
    assert [_int16(s) for s in back.d_signal.sum(0)] == back.checksum, r['path']

def write_csv(path, columns, recs):
    with open(path, 'w', encoding='utf-8', newline='') as f:
        w = csv.DictWriter(f, columns, extrasaction='ignore', lineterminator='\n')
        w.writeheader(); w.writerows(recs)

def build(folder, dest):
    records, dropped = candidates(folder)
    records = thin(records, dropped)
    split(records)
    tmp = Path(tempfile.mkdtemp(dir=dest.parent))
    try:
        for r in records: write(r, tmp); verify(r, tmp)
        write_csv(tmp/'sample.csv', COLUMNS, records)
        write_csv(tmp/'left_out.csv', ['record', 'reason'], [dict(record=a, reason=b) for a, b in dropped])
        for name in ('README.md', 'ATTRIBUTION.md'):  # written by hand, kept
            if (dest/name).exists(): shutil.copy(dest/name, tmp/name)
        shutil.copy(folder/'ptbxl'/'LICENSE.txt', tmp/'LICENSE-CC-BY-4.0.txt')
        size = sum(p.stat().st_size for p in tmp.rglob('*') if p.is_file())
        assert size <= LIMIT, f'{size} bytes, more than {LIMIT}'
        tmp.chmod(0o755)
        if dest.exists(): shutil.rmtree(dest)
        tmp.rename(dest)
    finally: shutil.rmtree(tmp, ignore_errors=True)
    counts = lambda k: ', '.join(f'{a} {b}' for a, b in sorted(Counter(r[k] for r in records).items()))
    print(f"{len(records)} records ({counts('split')}; {counts('source')}), {len(dropped)} left out, {size/1e6:.2f} MB in {dest}")

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder', type=Path, help='the folder of public records')
    p.add_argument('--dest', type=Path, default=Path(__file__).resolve().parent.parent/'ecgclip'/'sample')
    a = p.parse_args()
    build(a.folder, a.dest)
