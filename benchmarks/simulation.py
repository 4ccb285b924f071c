"""Judge a model zero-shot on real ECGs; train one on simulated pairs alone.

    python benchmarks/simulation.py --data DIR CHECKPOINT... [--language zh] [--half A] [--untrained 8] [--device auto] [--json FILE]
    python benchmarks/simulation.py train OUT --seed S --minutes M [any option of the recipe]
    python benchmarks/simulation.py speed

DIR holds the public records as WFDB folders beside their tables (ptbxl/ptbxl_database.csv, others/records.csv). Patients are divided
into two halves by a hash of their name: what is tuned on one half is reported on the other. Findings and prompts are those of
simulation/findings.json, whose `about` says when they were fixed. Several checkpoints are averaged as seeds, each also shown."""
import argparse, ast, csv, datetime, hashlib, json, shutil, sys, time, zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

here = Path(__file__).resolve().parent
TWINS = {'137': '138', '459': '460'}   # PTB-XL records that hold the same signal under two numbers

def fixed(): return json.loads((here/'simulation'/'findings.json').read_text(encoding='utf-8'))

# -- records --

@dataclass
class Records:
    "Real records: ECGs `(N,12,5000)` in mV, patients, halves, and their codes in one of two vocabularies."
    ecgs: np.ndarray
    names: list
    patients: np.ndarray
    halves: np.ndarray     # 'A' or 'B'
    scp: list              # {code: likelihood}, or nothing where the record has SNOMED CT codes
    snomed: list           # set of codes, or nothing
    sources: list          # database of each
    def __len__(self): return len(self.names)
    def subset(self, which):
        which = np.flatnonzero(which)
        pick = lambda o: [o[i] for i in which]
        return Records(self.ecgs[which], pick(self.names), self.patients[which], self.halves[which], pick(self.scp), pick(self.snomed), pick(self.sources))

def half(patient): return 'AB'[zlib.crc32(str(patient).removeprefix('ptbxl ').encode()) % 2]   # a PTB-XL patient by the bare number

def _rows(path):
    with open(path, encoding='utf-8-sig', newline='') as f: return list(csv.DictReader(f))

def ptbxl_rows(folder):
    "(path, patient, codes) of PTB-XL, and the patient of each ecg_id."
    rows, patient = _rows(folder/'ptbxl_database.csv'), {}
    for r in rows: patient[r['ecg_id']] = 'ptbxl ' + str(int(float(r['patient_id'])))
    for a, b in TWINS.items():
        if a in patient and b in patient: patient[b] = patient[a]
    found = {p.stem: p for p in folder.rglob('*.hea')}
    return [(found[Path(r['filename_hr']).name], patient[r['ecg_id']], ast.literal_eval(r['scp_codes'])) for r in rows if Path(r['filename_hr']).name in found], patient

def challenge_rows(folder, patient):
    "(path, patient, codes) of a folder in the form of the Challenge; PTB-XL's own records are known by their number."
    known = lambda name: patient.get(str(int(name[2:]))) if name.startswith('HR') and name[2:].isdigit() else None
    return [(folder/r['record'], known(r['record']) or f"{folder.name} {r['record']}", set(r['dx'].split(','))) for r in _rows(folder/'records.csv')]

def source_of(path):
    "The database of a record: its folder; Chapman-Shaoxing has the first 10,646 numbers of the folder that it shares with Ningbo."
    if path.parent.name != 'chapman_ningbo' and not path.stem.startswith('JS'): return path.parent.name
    return 'chapman' if int(path.stem[2:]) <= 10646 else 'ningbo'

def read_records(data):
    "All records of the folder; the first ten seconds; a recording that occurs twice counts once."
    from ecgclip.data import read_record
    data, rows, patient = Path(data), [], {}
    if (data/'ptbxl').is_dir(): rows, patient = ptbxl_rows(data/'ptbxl')
    for f in sorted(p.parent for p in data.glob('*/records.csv') if {'record', 'dx'} <= (_rows(p) or [{}])[0].keys()): rows += challenge_rows(f, patient)
    if not rows: sys.exit(f'{data}: neither ptbxl/ptbxl_database.csv nor a FOLDER/records.csv with the columns record and dx. Name the folder of the public records.')
    ecgs, kept, seen = [], [], set()
    for path, who, codes in rows:
        x = read_record(path).signal
        mark = hashlib.sha256(np.rint(x*200).astype(np.int16).tobytes()).digest()
        if mark in seen: continue
        seen.add(mark); ecgs.append(x); kept.append((path, who, codes))
    patients = np.array([k[1] for k in kept])
    codes = [k[2] for k in kept]
    return Records(np.stack(ecgs), [Path(k[0]).stem for k in kept], patients, np.array([half(p) for p in patients]),
                   [c if isinstance(c, dict) else None for c in codes], [c if isinstance(c, set) else None for c in codes], [source_of(k[0]) for k in kept])

# -- labels --

def diagnostic_classes(data):
    return {r['']: r['diagnostic_class'] for r in _rows(Path(data)/'ptbxl'/'scp_statements.csv') if r['diagnostic'] == '1.0'}

def superclass_labels(records, classes, f):
    "{class: 0/1} of the PTB-XL records; NaN for the others and for those without a diagnostic statement."
    have = [{classes[c] for c, v in s.items() if c in classes and v > f['superclass_likelihood']} if s else set() for s in records.scp]
    return {k: np.array([float(k in h) if h else np.nan for h in have]) for k in f['superclasses']}

def finding_labels(records, f):
    "{finding: 0/1}; NaN where the record's vocabulary cannot state it, or its database never does."
    def one(k, d, scp, snomed, source):
        codes, said = (d['scp'], scp) if scp is not None else (d['snomed'], snomed)
        if set(codes) & set(said): return 1.
        return 0. if codes and k not in f['silent'].get(source, ()) else np.nan
    return {k: np.array([one(k, d, *r) for r in zip(records.scp, records.snomed, records.sources)]) for k, d in f['findings'].items()}

# -- judging --

def tasks(records, data, f):
    "Name -> (prompts by language, labels)."
    out = dict(findings=(f['findings'], finding_labels(records, f)))
    if any(s is not None for s in records.scp): out = dict(superclasses=(f['superclasses'], superclass_labels(records, diagnostic_classes(data), f))) | out
    return out

def phrases(entry, language):
    "The prompts of a class; with `against`, those of what it excludes are subtracted."
    return dict(present=entry[language], absent=entry['against'][language]) if 'against' in entry else entry[language]

def _known(labels): return ~np.isnan(np.stack(list(labels.values()), 1)).all(1)

def judge(models, records, task, language, rare_below, untrained, n_boot=2000, name=''):
    "`ZeroShot` of each model, and of their mean score where there are several."
    from ecgclip.evaluation import _label_table, judge_scores, untrained_copy, zero_shot_scores
    entries, labels = task
    prompts = {k: phrases(v, language) for k, v in entries.items()}
    some = _known(labels)
    ecgs, who, y = records.ecgs[some], records.patients[some], _label_table({k: v[some] for k, v in labels.items()}, list(prompts), int(some.sum()))
    scores = [zero_shot_scores(m, ecgs, prompts) for m in models]
    fresh = [zero_shot_scores(untrained_copy(models[0], s), ecgs, prompts) for s in range(untrained)]
    return [judge_scores(s, y, list(prompts), who, rare_below=rare_below, untrained=fresh, n_boot=n_boot, name=name) for s in scores]

def one_table(checkpoints, models, records, data, f, half, language, untrained):
    part = records if half == 'all' else records.subset(records.halves == half)
    out = {}
    for name, task in tasks(part, data, f).items():
        title = f'{name}, half {half}, {language} prompts, {len(set(part.patients[_known(task[1])]))} patients'
        zs = judge(models, part, task, language, f['rare_below'], untrained, name=title)
        for c, z in zip(checkpoints, zs): print(f'\n{c}\n{z}')
        means = np.array([z.macro.value for z in zs])
        if len(zs) > 1: print(f'{name}, half {half}: mean over {len(zs)} seeds {means.mean():.3f} (SD {means.std(ddof=1):.3f})')
        out[name] = dict(macro=[float(m) for m in means], models=[dict(checkpoint=Path(c).name, **z.to_dict()) for c, z in zip(checkpoints, zs)])
    return out

def evaluate(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('checkpoints', nargs='+', help='folders of checkpoints, or names such as demo')
    p.add_argument('--data', required=True, help='folder of the public records')
    p.add_argument('--language', default='zh', choices=('zh', 'en'))
    p.add_argument('--half', nargs='+', default=['A', 'B', 'all'], choices=('A', 'B', 'all'))
    p.add_argument('--untrained', type=int, default=8, help='seeds of the untrained floor')
    p.add_argument('--device', default='auto', help='of the models')
    p.add_argument('--json', type=Path, help='write the figures there')
    a = p.parse_args(argv)
    from ecgclip.learner import load_pretrained
    models = [load_pretrained(c, a.device) for c in a.checkpoints]
    f, records = fixed(), read_records(a.data)
    print(f'{len(records)} records of {len(set(records.patients))} patients')
    out = dict(date=str(datetime.date.today()), records=len(records), patients=len(set(records.patients)), language=a.language, rare_below=f['rare_below'],
               halves={h: one_table(a.checkpoints, models, records, a.data, f, h, a.language, a.untrained) for h in a.half})
    out['training'] = {Path(c).name: json.loads(f.read_text(encoding='utf-8')) for c in a.checkpoints if (f := Path(c)/'training.json').is_file()}
    if a.json: a.json.write_text(json.dumps(out, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')

# -- the recipe --

def within(minutes):
    "A callback: the schedule follows the clock, and training ends when the time is over."
    from fastai.callback.core import Callback, CancelFitException, TrainEvalCallback
    class Within(Callback):
        order, run_valid = TrainEvalCallback.order + 1, False
        def before_fit(self): self.began = time.perf_counter()
        def after_batch(self):
            self.learn.pct_train = min((time.perf_counter() - self.began)/60/minutes, 1.)
            if self.pct_train >= 1: raise CancelFitException('the time is over')
    return Within()

def train(argv):
    "Train on simulated pairs alone, and write OUT as a checkpoint folder. OUT.run holds the states meanwhile: after an interruption the same command goes on."
    from demo import machine
    from ecgclip.cli import add_config_options
    from ecgclip.core import Config
    from ecgclip.data import sample_data
    from ecgclip.learner import fit_run, pretrain_learner
    from ecgclip.loaders import ecg_dataloaders
    p = argparse.ArgumentParser('simulation.py train', description=train.__doc__ + f' Without options: {Config.simulated().epochs} epochs of {Config.simulated().simulate:,} pairs, some 20 minutes with two CPU cores. The recipe is that of --preset simulated, from which the published values that the options name differ.')
    p.add_argument('out_folder', metavar='OUT')
    p.add_argument('--minutes', type=float, help='train so long; nothing means as many epochs as the settings say')
    add_config_options(p)
    a = vars(p.parse_args(argv))
    out, minutes = a.pop('out_folder'), a.pop('minutes')
    config = Config.simulated(**({'epochs': 1000} if minutes else {}) | a)
    learn, run = pretrain_learner(ecg_dataloaders(sample_data(), config=config), cbs=[within(minutes)] if minutes else None), Path(out + '.run')
    if minutes: began = time.perf_counter(); learn.fit_warmup_cosine(config.epochs); took = (time.perf_counter() - began)/60
    else: fit_run(learn, run, resume=run.is_dir()); took = sum(float(r['seconds']) for r in _rows(run/'history.csv'))/60
    learn.save_pretrained(out)
    done = dict(options=[o for o in argv if o != out], steps=int(learn.train_iter), batch_size=config.batch_size, minutes=round(took, 1), date=str(datetime.date.today()), machine=machine())
    Path(out, 'training.json').write_text(json.dumps(done, indent=1) + '\n', encoding='utf-8')
    shutil.rmtree(run, ignore_errors=True)
    print(f"{out}: {done['steps']} steps of {done['batch_size']} pairs in {done['minutes']} minutes")

# -- speed --

def speed(argv):
    "Simulated ECGs for a second of one processor, reports and recording with them; the median of five rounds. Writes results/simulator.json."
    from demo import machine
    from ecgclip.simulate import simulate
    p = argparse.ArgumentParser('simulation.py speed', description=speed.__doc__)
    p.add_argument('--n', type=int, default=400, help='ECGs a round')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figure')
    a = p.parse_args(argv)
    simulate(20, progress=False)   # compiles
    rates = []
    for k in range(5):
        began = time.process_time()
        simulate(a.n, seed=k, progress=False)
        rates.append(a.n/(time.process_time() - began))
    d = dict(date=str(datetime.date.today()), machine=machine(), note=a.note, n=a.n, target=300, ecgs_per_processor_second=round(float(np.median(rates)), 1), rounds=[round(r, 1) for r in rates])
    (here/'results'/'simulator.json').write_text(json.dumps(d, indent=1) + '\n', encoding='utf-8')
    print(f"{d['ecgs_per_processor_second']:.0f} ECGs for a second of one processor ({min(rates):.0f} to {max(rates):.0f}); the aim is {d['target']}")

if __name__ == '__main__': {'train': train, 'speed': speed}.get(sys.argv[1] if sys.argv[1:] else '', lambda _: evaluate(sys.argv[1:]))(sys.argv[2:])
