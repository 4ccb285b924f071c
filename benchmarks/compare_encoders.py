"""Do images of segments beat the raw signal? Train every encoder on the same pairs with an equal budget, and print one table.

    python benchmarks/compare_encoders.py                                    small encoders on the embedded sample, on a CPU: a demonstration
    python benchmarks/compare_encoders.py --minutes 1                        the same time for each, not the same number of ECGs: minutes of processor time on a CPU
    python benchmarks/compare_encoders.py --simulate 4096 --epochs 5 --batch-size 64 --seeds 1      the same simulated pairs for each, judged on the training and test records of the sample, which none has seen
    python benchmarks/compare_encoders.py --data my-set --size full --device cuda --epochs 30 --batch-size 256
    python benchmarks/compare_encoders.py --data my-set --size full --device cuda --minutes 60     minutes by the clock on a GPU

All runs share records, order, text encoder, augmentation, schedule and number of ECGs seen (or minutes, with --minutes); the last weights are judged, so that no choice favours any.
The first encoder is what the others are tested against, record by record, with Holm's correction. Several seeds show how much is luck of the start;
the tests take the mean of the figures over all seeds, and those of classes are a family of their own.
Each run is kept in --runs as soon as it is judged, and the table is written anew: the same command goes on where an earlier one ended.
Writes benchmarks/results/compare_encoders.json and .md (compare_encoders_time with --minutes, compare_encoders_simulated with --simulate), unless --quick."""
import argparse, datetime, json, os, re, sys, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'benchmarks'))

_SMALL_IMAGES, _SMALL_FORMER = dict(segment=500, image_size=50), dict(dim=96, lead_dim=16, patch_size=25, pool='mean', attn_dropout=.2, ff_dropout=.2)
ENCODERS = dict(   # label -> settings, by size
    small={'ResNet1D': dict(ecg_encoder='resnet1d_tiny'),
           'ResNet1D and median beat': dict(ecg_encoder='resnet1d_beats'),
           'ViT1D': dict(ecg_encoder='vit1d_tiny', ecg_args=dict(dim=96, depth=4, heads=3, patch_size=50)),
           'TimesNet': dict(ecg_encoder='timesnet', ecg_args=dict(dim=96, width=24, hidden=24, depth=1, n_kernels=3, fs=50)),
           'TimeSformer, published images': dict(ecg_encoder='timesformer_tiny', image_preset='published', image_args=_SMALL_IMAGES, ecg_args=_SMALL_FORMER),
           'TimeSformer, millivolt images': dict(ecg_encoder='timesformer_tiny', image_preset='millivolt', image_args=_SMALL_IMAGES | dict(value_range=[-1., 1.]), ecg_args=_SMALL_FORMER)},
    full={'ResNet1D': dict(ecg_encoder='resnet1d18'),
          'ResNet1D and median beat': dict(ecg_encoder='resnet1d_beats'),
          'ViT1D': dict(ecg_encoder='vit1d_small'),
          'TimesNet': dict(ecg_encoder='timesnet'),
          'TimeSformer, published images': dict(ecg_encoder='timesformer', image_preset='published'),
          'TimeSformer, millivolt images': dict(ecg_encoder='timesformer', image_preset='millivolt')})
_RECALLS = ('mean_recall_group', 'mean_recall_group_macro', 'mean_recall_findings')

_PAIRS = 'duplicates rare_reports statements statement_weight equal_reports weight_decay amp'.split()   # of the recipe for simulated pairs

def settings(a, label, seed):
    "The `Config` of one run: all but the encoder is the same."
    from ecgclip.core import Config
    base = Config.timesformer(image_preset='published', image_args={}, ecg_args={})
    if a.simulate: base = base.replace(**{k: getattr(Config.simulated(), k) for k in _PAIRS}, simulate=a.simulate, simulate_mix=1., simulate_passes=10_000 if a.minutes else a.epochs, augment=False)
    return base.replace(**ENCODERS[a.size][label], epochs=a.epochs, batch_size=a.batch_size, lr_rate=a.lr_rate, text_encoder=a.text_encoder, seed=seed, device=a.device,
                        detail='full', data=a.data, max_tokens=256 if a.data and not a.simulate else 64 if a.simulate else 96, monitor_epochs=1)

def within(minutes, clock):
    "A callback: the schedule follows the clock, and training ends when the time is over."
    from fastai.callback.core import Callback, CancelFitException, TrainEvalCallback
    class Within(Callback):
        order, run_valid = TrainEvalCallback.order + 1, False
        def before_fit(self): self.began = clock()
        def after_batch(self):
            self.learn.pct_train = min((clock() - self.began)/60/minutes, 1.)
            if self.pct_train >= 1: raise CancelFitException('the time is over')
    return Within()

def without_validation():
    "A callback: nothing is chosen by validation records here, so none are looked at while training."
    from fastai.callback.core import Callback, CancelValidException
    class Without(Callback):
        def before_validate(self): raise CancelValidException('not asked for')
    return Without()

def train(a, label, seed, data):
    "A model after its budget, and what it took: steps, seconds by the clock and of the processor."
    from ecgclip.callback import EpochTable, RetrievalMetrics
    from ecgclip.learner import pretrain_learner
    from ecgclip.loaders import ecg_dataloaders
    config = settings(a, label, seed)
    learn = pretrain_learner(ecg_dataloaders(data, config=config), verbose=False, cbs=[without_validation()])
    learn.remove_cbs([EpochTable, RetrievalMetrics])
    clock = time.perf_counter if learn.dls.device.type == 'cuda' else time.process_time
    start, used = time.perf_counter(), time.process_time()
    with learn.no_bar(), learn.no_logging(): learn.fit_warmup_cosine(10_000 if a.minutes else a.epochs, cbs=[within(a.minutes, clock)] if a.minutes else None)
    learn.model.config = config
    return learn.model.eval(), dict(steps=int(learn.train_iter), ecgs_seen=int(learn.train_iter)*a.batch_size, train_seconds=round(time.perf_counter() - start, 1), train_processor_seconds=round(time.process_time() - used, 1))

def ecgs_per_second(model, data, n=32, repeats=3):
    "Of encoding without gradients, from the signal: the best of the repeats, by processor time on a CPU, which other work on the machine does not count in, and by the clock on a GPU."
    import torch
    x = torch.from_numpy(data.ecgs(range(min(n, len(data))))).to(model.device)
    gpu = x.device.type == 'cuda'
    clock, sync = (time.perf_counter, torch.cuda.synchronize) if gpu else (time.process_time, lambda: None)
    def once():
        start = clock(); model.encode_ecg(x); sync()
        return clock() - start
    with torch.no_grad(): return len(x)/min([once() for _ in range(repeats + 1)][1:])

def judged(a, label, seed, data):
    "One run: a row of facts, and its whole report."
    from ecgclip.pages import evaluate_model, to_report
    model, took = train(a, label, seed, data)
    data = judging(data, a.simulate)
    task = a.task and (a.task if a.task in _tasks() else a.task.split(','))
    ev = evaluate_model(model, data.grouped(model.config.groups_by), task=task, parts=('retrieval', 'zero_shot'), untrained=a.untrained, n_boot=a.resamples, name=label)
    z, r = ev.section('zero_shot').table.loc['mean'], ev.retrieval.table
    row = dict(encoder=label, seed=seed, parameters=sum(p.numel() for p in model.ecg.parameters()), **took, ecgs_per_second=round(ecgs_per_second(model, data.subset('test')), 1),
               **{k: [float(v) for v in r.loc[k, ['value', 'low', 'high', 'chance']]] for k in _RECALLS}, **{f'{k}_untrained': float(r.untrained[k]) for k in _RECALLS if 'untrained' in r}, blind=float(r.blind['mean_recall_group']),
               auc=[float(z[k]) for k in ('auc', 'auc_low', 'auc_high')], auc_untrained=float(z.get('untrained', float('nan'))), auc_age_sex=float(z.get('age and sex', float('nan'))), auprc=[float(z[k]) for k in ('auprc', 'auprc_low', 'auprc_high')])
    print(f'{label}, seed {seed}: {took["steps"]} steps in {took["train_processor_seconds"]:.0f} s of processor time ({took["train_seconds"]:.0f} s by the clock), each report once {row["mean_recall_group_macro"][0]:.3f}, zero-shot AUC {row["auc"][0]:.3f}', flush=True)
    return row, to_report(ev)

def _tasks():
    from ecgclip.prompts import list_tasks
    return list_tasks()

_KEY = ('data', 'simulate', 'size', 'device', 'epochs', 'minutes', 'batch_size', 'lr_rate', 'text_encoder', 'task', 'untrained', 'resamples')   # what makes two runs comparable

def write(path, text):
    tmp = path.with_name(f'.{path.name}.new')
    tmp.write_text(text, encoding='utf-8')
    os.replace(tmp, path)

def kind(a): return (f'-{a.minutes:g}-minutes' if a.minutes else '') + '-simulated'*bool(a.simulate)

def judging(data, simulate):
    "With simulated training pairs every record but those of validation judges."
    if not simulate: return data
    from ecgclip.data import ECGData
    return ECGData(data.df.assign(split=data.df.split.replace('train', 'test')), data.store, data.name, data.notes, data.rows)

def kept(a, label, seed, data):
    "The file of one run: that of an earlier command with these settings, else made now."
    key = {k: v for k in _KEY if (v := getattr(a, k)) is not None or k != 'simulate'} | dict(encoder=ENCODERS[a.size][label], seed=seed)
    path = Path(a.runs)/f'{re.sub("[^a-z0-9]+", "-", label.lower())}{kind(a)}-{seed}.json'
    if path.is_file() and json.loads(path.read_text(encoding='utf-8'))['key'] == json.loads(json.dumps(key)): return path
    row, report = judged(a, label, seed, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps(report | dict(key=key, row=row), ensure_ascii=False))
    return path

def row_of(path): return json.loads(Path(path).read_text(encoding='utf-8'))['row']

def table(rows):
    "One row an encoder: figures are means over seeds, of value and interval; ± is the deviation over seeds."
    import numpy as np, pandas as pd
    df, out = pd.DataFrame(rows), {}
    def figure(v):
        v = np.array(v.tolist())
        return f'{v[:, 0].mean():.3f} ({v[:, 1].mean():.3f} to {v[:, 2].mean():.3f})' + (f' ±{v[:, 0].std(ddof=1):.3f}' if len(v) > 1 else '')
    for label, g in df.groupby('encoder', sort=False):
        out[label] = {'seeds': str(len(g)), 'parameters': f'{g.parameters.iloc[0]/1e6:.2f} M', 'ECGs a second': f'{g.ecgs_per_second.mean():.0f}', 'ECGs seen': f'{g.ecgs_seen.mean():.0f}', 'training, s': f'{g.train_processor_seconds.mean():.0f}',
                      'each report once': figure(g.mean_recall_group_macro), 'its untrained': f'{g.mean_recall_group_macro_untrained.mean():.3f}', 'mean recall': figure(g.mean_recall_group), 'same findings': figure(g.mean_recall_findings),
                      'zero-shot AUC': figure(g.auc), 'untrained': f'{g.auc_untrained.mean():.3f}', 'age and sex': f'{g.auc_age_sex.mean():.3f}', 'AUPRC': figure(g.auprc)}
    out = pd.DataFrame.from_dict(out, orient='index')
    return out if np.isfinite(df.auc_age_sex.astype(float)).any() else out.drop(columns='age and sex')

def by_encoder(paths):
    "The runs of each encoder, all its seeds together, in the order of the table; only of seeds that all encoders have."
    seeds = set.intersection(*(set(s for s, _ in v) for v in paths.values()))
    return [[p for s, p in v if s in seeds] for v in paths.values()], sorted(seeds)

def about(a, data, rows, seeds):
    "What the figures rest on, in words."
    budget = f'{a.minutes:g} minutes{"" if "cuda" in a.device else " of processor time"}' if a.minutes else f'{a.epochs} epochs'
    pairs = f'{a.simulate} simulated pairs, the same for all' if a.simulate else f'{len(data.subset("train"))} training records'
    return (f'{data.name}: {pairs}, {len(judging(data, a.simulate).subset("test"))} test records; {budget} of batch {a.batch_size}, seeds {", ".join(map(str, seeds))}. A random order has a mean recall of {rows[0]["mean_recall_group"][3]:.3f} '
            f'({rows[0]["mean_recall_group_macro"][3]:.3f} where each report counts once, {rows[0]["mean_recall_findings"][3]:.3f} for the same findings); the best that ignores the ECG reaches {rows[0]["blind"]:.3f}. '
            + ('' if not a.simulate else 'No records are left to fit what age and sex alone would give. ')
            + ('Means over seeds; ± is the deviation over seeds; intervals over patients.' if len(seeds) > 1 else 'One seed: intervals and tests are over patients, and the luck of the start is in none of them.'))

def save(a, data, paths, done):
    "Table, tests and files from the runs that are there."
    from demo import machine
    from ecgclip.compare import _tests_shown, compare
    from ecgclip.pages import to_markdown
    rows = [row_of(p) for v in paths.values() for _, p in v]
    t, (groups, seeds) = table(rows), by_encoder(paths)
    compared = compare(groups, names=list(paths), n_boot=a.resamples) if done and len(paths) > 1 and seeds else None
    tests = None if compared is None else compared.tests
    note = about(a, data, rows, sorted({r['seed'] for r in rows}))
    if not a.quick:
        path = root/'benchmarks'/'results'/f'compare_encoders{"_simulated"*bool(a.simulate)}{"_time"*bool(a.minutes)}.json'
        d = dict(date=str(datetime.date.today()), machine=machine(), note=a.note, about=note, complete=done, settings={k: v for k, v in vars(a).items() if k not in ('data', 'note', 'runs')}, runs=rows, table=t.reset_index(names='encoder').to_dict('records'),
                 tests=None if tests is None else tests.to_dict('records'))
        d = json.loads(json.dumps(d), parse_constant=lambda c: None)   # what is not a number is null: JSON has no NaN
        write(path, json.dumps(d, indent=1, ensure_ascii=False) + '\n')
        whole = None if tests is None else tests[tests.family == 'whole']
        write(path.with_suffix('.md'), to_markdown(t) + f'\n\n{note}\n' + ('' if whole is None or not len(whole) else f'\nAgainst {list(paths)[0]}:\n\n' + to_markdown(_tests_shown(whole)) + '\n'))
    return t, compared, note

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', help='a table or a prepared folder; nothing means the embedded sample')
    p.add_argument('--simulate', type=int, metavar='N', help='train on N simulated pairs, the same in each epoch and for each encoder, and judge on the records')
    p.add_argument('--size', choices=tuple(ENCODERS), default='small')
    p.add_argument('--only', nargs='+', help='of the encoders, by their beginning')
    p.add_argument('--device', default='auto')
    p.add_argument('--epochs', type=int, default=30)
    p.add_argument('--minutes', type=float, help='the same time for each instead of the same number of ECGs')
    p.add_argument('--batch-size', type=int, default=32)
    p.add_argument('--lr-rate', type=float, default=1e-3)
    p.add_argument('--text-encoder', default='tiny')
    p.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    p.add_argument('--task', help='of list_tasks(), or findings with commas; nothing takes those that occur often enough')
    p.add_argument('--untrained', type=int, default=3)
    p.add_argument('--resamples', type=int, default=1000)
    p.add_argument('--runs', default=str(root/'models'/'compare_encoders'), help='where each run is kept')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    p.add_argument('--quick', action='store_true', help='one epoch, one seed, nothing written but the runs')
    a = p.parse_args()
    if a.quick: a.epochs, a.seeds, a.untrained, a.resamples, a.runs = 1, a.seeds[:1], 1, 100, f'{a.runs}-quick'
    from ecgclip.data import open_data
    from ecgclip.loaders import pick_device
    a.device = str(pick_device(a.device))
    data = open_data(a.data, detail='full')
    labels = [l for l in ENCODERS[a.size] if not a.only or any(l.startswith(o) for o in a.only)]
    paths, todo = {l: [] for l in labels}, [(s, l) for s in a.seeds for l in labels]
    for s, l in todo:
        paths[l].append((s, kept(a, l, s, data)))
        t, compared, note = save(a, data, {k: v for k, v in paths.items() if v}, done=(s, l) == todo[-1])
    print('', t.to_string(), sep='\n')
    if compared: print('', *compared.notes, f'Against {labels[0]}, mean of seeds, on the same records:', compared.tests.round(4).to_string(index=False), sep='\n')
    print(note)

if __name__ == '__main__': main()
