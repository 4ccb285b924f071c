"""Every folder of real records through `ecgclip-prepare` to a training epoch, and how fast that is beside `wfdb`.

    python benchmarks/prepare.py --data DIR [--json benchmarks/results/prepare.json]

DIR holds folders of public records and a README.md whose table gives the number of records of each: PTB-XL, Chapman-Shaoxing and Ningbo, CPSC 2018 and CPSC-Extra, Georgia, PTB-XL of the Challenge, SPH,
a folder `quirks` of awkward files, and folders of tables only. For MIMIC-IV-ECG, PTB, CODE and the original CPSC 2018 the records are made up, in the documented format of the set.
CPU seconds are compared, since other work on the machine does not change them as it changes the time that passes; both are written down.
"""
import argparse, contextlib, io, json, os, platform, re, subprocess, sys, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np

from ecgclip.cli import prepare, pretrain
from ecgclip.packed import open_packed, pack
from ecgclip.sources import example_source, open_source

SMALL = ['--preset', 'timesformer', '--epochs', '1', '--batch-size', '8', '--device', 'cpu', '--workers', '0', '--ecg-encoder', 'vit1d_tiny', '--ecg-args', '{"dim": 32, "depth": 1, "heads": 2}', '--text-args', '{"dim": 32, "layers": 1, "heads": 2}']
MIMIC_RECORDS = 800_035

def processor():
    "The processor's name, as the system tells it."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

def readme_counts(data):
    "Folder -> records, from the table of the README."
    lines = (data/'README.md').read_text(encoding='utf-8').splitlines()
    return {m[1]: int(m[2]) for l in lines if (m := re.match(r'\| `(\w+)/` \| (\d+) \(', l))}

def command(f, *argv):
    "What a command prints, and its exit status."
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try: f(list(map(str, argv))); status = 0
        except SystemExit as e: status = e.code
    return status, out.getvalue()

def through(source, tmp, *options):
    "A source through both commands; what came out."
    dest = tmp/f'{source.name}-set'
    status, said = command(prepare, source, dest, *options)
    if status: return dict(prepared=False, said=said.strip().splitlines()[-1].replace(str(source.parent), 'DIR'))
    about = json.loads((dest/'dataset.json').read_text(encoding='utf-8'))
    data = open_packed(dest, verify=True)
    splits = data.df.split.value_counts().to_dict()
    out = dict(prepared=True, source=about['source'].get('key', ''), records=len(data), skipped=len(data.skipped), reasons=sorted(set(data.skipped.reason)), splits=splits, same_signals=int((data.df.same_signal != '').sum()), notes=about['notes'])
    if set(splits) == {'test'}: return out | dict(epoch='none: all of it is for tests')
    if max(splits.get('valid', 0), splits.get('test', 0)) < 2: return out | dict(epoch=few_epoch(data))
    status, said = command(pretrain, dest, *SMALL, '--out', tmp/'runs')
    return out | dict(epoch='done' if not status else said.strip().splitlines()[-1])

def few_epoch(data):
    "An epoch on a set with a single held-out record, on which the command would not judge a checkpoint: two more are held out."
    from ecgclip.core import Config
    from ecgclip.learner import pretrain_learner
    from ecgclip.loaders import ecg_dataloaders
    data.df['split'] = ['valid' if i < 1 + (len(data) > 3) else 'train' for i in range(len(data))]
    config = Config.timesformer(epochs=1, batch_size=3, device='cpu', workers=0, ecg_encoder='vit1d_tiny', ecg_args=dict(dim=32, depth=1, heads=2), text_args=dict(dim=32, layers=1, heads=2))
    with contextlib.redirect_stdout(io.StringIO()): (learn := pretrain_learner(ecg_dataloaders(data, config=config, verbose=False))).fit(1)
    return 'done, from Python' if np.isfinite(learn.recorder.losses).all() else 'a loss that is not finite'

def folders(data, tmp, only=()):
    counts, out = readme_counts(data), {}
    for folder in sorted(p for p in data.iterdir() if p.is_dir() and (not only or p.name in only)):
        r = through(folder, tmp, *(['--max-bad', '1'] if folder.name == 'quirks' else []))
        if folder.name in counts: r |= dict(readme=counts[folder.name], agrees=r.get('records', 0) + r.get('skipped', 0) == counts[folder.name])
        out[folder.name] = r
        print(folder.name, r, flush=True)
    for key in () if only else ('mimic_iv_ecg', 'ptb', 'cpsc2018', 'code15', 'code_test'):
        r = through(example_source(key, tmp/f'made-{key}', 40), tmp)
        out[f'{key}, made-up records in its format'] = r | dict(readme=40, agrees=r.get('records') == 40)
        print(key, r, flush=True)
    return out

def timed(f):
    a, b = time.perf_counter(), time.process_time()
    f()
    return time.perf_counter() - a, time.process_time() - b

def throughput(folder, tmp, rounds=3):
    "Milliseconds a record, of `wfdb.rdrecord` alone and of reading, checking and writing, in turns in one process; the best of some rounds."
    import wfdb
    source = open_source(folder)
    paths = source.store.paths
    def alone():
        for p in paths: wfdb.rdrecord(p)
    def packed(k=[0]):
        k[0] += 1
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            pack(source, tmp/f'speed-{k[0]}', workers=1, quality=False, progress=False)
    def bare():
        for p in paths: Path(p + '.dat').read_bytes(); Path(p + '.hea').read_bytes()
    pack(source, tmp/'speed-0', workers=1, quality=False, progress=False)   # all modules are loaded now
    times = {n: [] for n in ('bytes', 'wfdb', 'packed')}
    for _ in range(rounds):
        for n, f in (('bytes', bare), ('wfdb', alone), ('packed', packed)): times[n].append(timed(f))
    ms = {n: dict(zip(('wall_ms', 'cpu_ms'), (round(min(o)/len(paths)*1000, 3) for o in zip(*t)))) for n, t in times.items()}
    ratio = round(ms['packed']['cpu_ms']/ms['wfdb']['cpu_ms'], 2)
    minutes = ms['packed']['cpu_ms']/1000*MIMIC_RECORDS/16/60
    return dict(records=len(paths), rounds=rounds, **ms, packed_to_wfdb_cpu=ratio, target=1.5, projected_mimic=dict(records=MIMIC_RECORDS, cores=16, minutes=round(minutes, 1), how='CPU time a record, divided over the cores, if the disk reads and writes 96 GB as fast; not run'))

def access(folder, tmp, batch=64, batches=6):
    "ECGs a CPU second, in random batches: from the original files, and from the packed set. Everything lies in the page cache."
    source, packed = open_source(folder), open_packed(tmp/'speed-0')
    rng = np.random.default_rng(0)
    picks = [rng.integers(0, len(source), batch) for _ in range(batches)]
    def each(data):
        for p in picks: data.ecgs(p)
    each(packed)
    times = {n: [] for n in ('files', 'packed')}
    for _ in range(3):
        for n, d in (('files', source), ('packed', packed)): times[n].append(timed(lambda: each(d)))
    rate = {n: dict(zip(('ecgs_per_second', 'ecgs_per_cpu_second'), (round(batch*batches/min(o)) for o in zip(*t)))) for n, t in times.items()}
    return dict(batch=batch, **rate, packed_to_files=round(rate['packed']['ecgs_per_cpu_second']/rate['files']['ecgs_per_cpu_second'], 1))

def tables(tmp, n=8_000):
    "CPU milliseconds a record of what one process does for all records of a set like MIMIC-IV-ECG: reading its tables, splits, groups of reports, the index, the findings."
    import hashlib
    import pandas as pd
    from ecgclip import packed as P, sources as S
    rng, folder = np.random.default_rng(0), tmp/'tables'
    folder.mkdir()
    words = 'Sinus rhythm|Atrial fibrillation|Left axis deviation|Left bundle branch block|Possible inferior infarct - age undetermined|Nonspecific T wave changes|Low QRS voltages|Borderline ECG|Abnormal ECG'.split('|')
    ids = pd.DataFrame(dict(subject_id=10**7 + rng.integers(0, n//5, n), study_id=4*10**7 + np.arange(n)))
    ids.assign(path=[f'files/p{i}' for i in range(n)]).to_csv(folder/'record_list.csv', index=False)
    said = [[*rng.choice(words, rng.integers(1, 5), replace=False), f'Rate {rng.integers(40, 140)}'] for _ in range(n)]
    pd.concat([ids, pd.DataFrame([(s + ['']*18)[:18] for s in said], columns=[f'report_{i}' for i in range(18)])], axis=1).to_csv(folder/'machine_measurements.csv', index=False)
    def all_of_it():
        df, _ = S._mimic(folder, False)
        df, _ = S._filled(S._named(df, 'mimic_iv_ecg'), 'source', 'zh', 'full')
        df, by = S._split_up(df, 'published', folder)
        df = df.assign(position=np.arange(len(df)), digest=[hashlib.blake2b(str(i).encode(), digest_size=12).hexdigest() for i in range(len(df))])
        data = P.ECGData(df, None, 'tables'); data.split_by = by
        df, *_ = P._settled(df, data, 'keep', folder)
        P._write_index(df, folder/'records.csv')
        P.finding_counts(P.ECGData(P._read_index(folder/'records.csv'), None))
    ms = timed(all_of_it)[1]/n*1000
    return dict(rows=n, distinct_reports=len({'|'.join(s) for s in said}), cpu_ms=round(ms, 3), projected_mimic_minutes=round(ms*MIMIC_RECORDS/60000, 1))

def peak(folder, times, dest):
    "Largest memory in MB of a process that packs the records of a folder so many times over."
    code = ("import sys, resource, warnings; warnings.simplefilter('ignore'); import numpy as np, pandas as pd; from ecgclip.sources import open_source; from ecgclip.data import ECGData; from ecgclip.packed import pack\n"
        "folder, times, dest = sys.argv[1], int(sys.argv[2]), sys.argv[3]; d = open_source(folder)\n"
        "df = pd.concat([d.df.assign(record=d.df.record + f'-{i}') for i in range(times)], ignore_index=True); rows = np.tile(d.rows, times)\n"
        "pack(ECGData(df, d.store, 'many', (), rows), dest, workers=1, quality=False, progress=False)\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)")
    return int(subprocess.run([sys.executable, '-c', code, str(folder), str(times), str(dest)], capture_output=True, text=True, check=True).stdout)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', required=True, type=Path, help='folder of folders, with a README.md')
    p.add_argument('--json', type=Path, default=Path(__file__).parent/'results'/'prepare.json')
    p.add_argument('--only', nargs='+', default=(), metavar='FOLDER', help='only these folders; the rest of the results stays')
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as t:
        tmp = Path(t)
        ptbxl = a.data/'ptbxl'
        if a.only:
            result = json.loads(a.json.read_text(encoding='utf-8'))
            result['folders'] |= folders(a.data, tmp, a.only)
            a.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
            return
        result = dict(machine=dict(processor=processor(), cores=os.cpu_count(), load=round(os.getloadavg()[0], 1), python=platform.python_version()), speed=throughput(ptbxl, tmp), access=access(ptbxl, tmp), tables=tables(tmp))
        print(result, flush=True)
        result['memory_mb'] = {f'{k*243} records': peak(ptbxl, k, tmp/f'memory-{k}') for k in (1, 8)}
        print(result['memory_mb'], flush=True)
        result['folders'] = folders(a.data, tmp)
    wrong = [k for k, r in result['folders'].items() if r.get('agrees') is False or not r.get('epoch', 'done').startswith(('done', 'none'))]
    a.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    sys.exit(f'does not agree: {", ".join(wrong)}' if wrong else 0)

if __name__ == '__main__': main()
