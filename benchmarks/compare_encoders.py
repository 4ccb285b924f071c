"""Do images of segments beat the raw signal? Train every encoder on the same pairs with an equal budget, and print one table.

    python benchmarks/compare_encoders.py                                    small encoders on the embedded sample, on a CPU: a demonstration
    python benchmarks/compare_encoders.py --data my-set --size full --device cuda --epochs 30 --batch-size 256
    python benchmarks/compare_encoders.py --data my-set --size full --device cuda --minutes 60     the same time for each, not the same steps

All runs share records, order, text encoder, augmentation, schedule and number of steps (or minutes, with --minutes); the last weights are judged, so that no choice favours any.
The first encoder is what the others are tested against, record by record, with Holm's correction. Several seeds show how much is luck of the start;
the tests take the mean of the figures over all seeds, and those of classes are a family of their own.
Writes benchmarks/results/compare_encoders.json and .md, unless --quick."""
import argparse, datetime, json, sys, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'benchmarks'))

_SMALL_IMAGES, _SMALL_FORMER = dict(segment=500, image_size=50), dict(dim=96, lead_dim=16, patch_size=25, pool='mean', attn_dropout=.2, ff_dropout=.2)
ENCODERS = dict(   # label -> settings, by size
    small={'ResNet1D': dict(ecg_encoder='resnet1d_tiny'),
           'ViT1D': dict(ecg_encoder='vit1d_tiny', ecg_args=dict(dim=96, depth=4, heads=3, patch_size=50)),
           'TimesNet': dict(ecg_encoder='timesnet', ecg_args=dict(dim=96, width=24, hidden=24, depth=1, n_kernels=3, fs=50)),
           'TimeSformer, published images': dict(ecg_encoder='timesformer_tiny', image_preset='published', image_args=_SMALL_IMAGES, ecg_args=_SMALL_FORMER),
           'TimeSformer, millivolt images': dict(ecg_encoder='timesformer_tiny', image_preset='millivolt', image_args=_SMALL_IMAGES | dict(value_range=[-1., 1.]), ecg_args=_SMALL_FORMER)},
    full={'ResNet1D': dict(ecg_encoder='resnet1d18'),
          'ViT1D': dict(ecg_encoder='vit1d_small'),
          'TimesNet': dict(ecg_encoder='timesnet'),
          'TimeSformer, published images': dict(ecg_encoder='timesformer', image_preset='published'),
          'TimeSformer, millivolt images': dict(ecg_encoder='timesformer', image_preset='millivolt')})

def settings(a, label, seed):
    "The `Config` of one run: all but the encoder is the same."
    from ecgclip.core import Config
    return Config.timesformer(image_preset='published', image_args={}, ecg_args={}).replace(**ENCODERS[a.size][label], epochs=a.epochs, batch_size=a.batch_size, lr_rate=a.lr_rate, text_encoder=a.text_encoder, seed=seed, device=a.device,
                       detail='full' if a.data else 'headline', data=a.data, max_tokens=256 if a.data else 64, monitor_epochs=1)

def train(a, label, seed, data):
    "A model after its budget, the steps it took, and the seconds."
    from ecgclip.learner import pretrain_learner
    from ecgclip.loaders import ecg_dataloaders
    from simulation import within
    config = settings(a, label, seed)
    learn = pretrain_learner(ecg_dataloaders(data, config=config), verbose=False)
    start = time.perf_counter()
    with learn.no_bar(), learn.no_logging(): learn.fit_warmup_cosine(10_000 if a.minutes else a.epochs, cbs=[within(a.minutes)] if a.minutes else None)
    learn.model.config = config
    return learn.model.eval(), int(learn.train_iter), time.perf_counter() - start

def ecgs_per_second(model, data, n=32, seconds=2.):
    "Of encoding without gradients, from the signal."
    import torch
    x = torch.from_numpy(data.ecgs(range(min(n, len(data))))).to(model.device)
    sync = torch.cuda.synchronize if x.device.type == 'cuda' else lambda: None
    with torch.no_grad():
        model.encode_ecg(x); sync()
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds: model.encode_ecg(x); sync(); done += len(x)
    return done/(time.perf_counter() - start)

def judged(a, label, seed, data):
    "One run: its evaluation and a row of facts."
    from ecgclip.pages import evaluate_model
    model, steps, seconds = train(a, label, seed, data)
    ev = evaluate_model(model, data.grouped(model.config.groups_by), task=a.task and (a.task if a.task in _tasks() else a.task.split(',')), parts=('retrieval', 'zero_shot'), untrained=a.untrained, n_boot=a.resamples, name=label)
    z, n = ev.section('zero_shot').table.loc['mean'], sum(p.numel() for p in model.ecg.parameters())
    row = dict(encoder=label, seed=seed, parameters=n, steps=steps, train_seconds=round(seconds, 1), ecgs_per_second=round(ecgs_per_second(model, data.subset('test')), 1),
               **{k: [float(v) for v in ev.retrieval.table.loc[k, ['value', 'low', 'high', 'chance']]] for k in ('mean_recall_group', 'mean_recall_group_macro', 'mean_recall_findings')},
               auc=[float(z[k]) for k in ('auc', 'auc_low', 'auc_high')], auc_untrained=float(z.get('untrained', float('nan'))), auc_age_sex=float(z.get('age and sex', float('nan'))), auprc=[float(z[k]) for k in ('auprc', 'auprc_low', 'auprc_high')])
    print(f'{label}, seed {seed}: {steps} steps in {seconds:.0f} s, mean_recall_group {row["mean_recall_group"][0]:.3f}, zero-shot AUC {row["auc"][0]:.3f}', flush=True)
    return row, ev

def _tasks():
    from ecgclip.prompts import list_tasks
    return list_tasks()

def table(rows):
    "One row an encoder: figures are means over seeds, of value and interval; ± is the deviation over seeds."
    import numpy as np, pandas as pd
    df, out = pd.DataFrame(rows), {}
    def figure(v):
        v = np.array(v.tolist())
        return f'{v[:, 0].mean():.3f} ({v[:, 1].mean():.3f} to {v[:, 2].mean():.3f})' + (f' ±{v[:, 0].std(ddof=1):.3f}' if len(v) > 1 else '')
    for label, g in df.groupby('encoder', sort=False):
        out[label] = {'parameters': f'{g.parameters.iloc[0]/1e6:.2f} M', 'ECGs a second': f'{g.ecgs_per_second.mean():.0f}', 'mean recall': figure(g.mean_recall_group), 'each report once': figure(g.mean_recall_group_macro),
                      'same findings': figure(g.mean_recall_findings), 'zero-shot AUC': figure(g.auc), 'untrained': f'{g.auc_untrained.mean():.3f}', 'age and sex': f'{g.auc_age_sex.mean():.3f}', 'AUPRC': figure(g.auprc)}
    return pd.DataFrame.from_dict(out, orient='index')

def by_encoder(rows, evs):
    "The evaluations of each encoder, all its seeds together, in the order of the table."
    out = {}
    for row, ev in zip(rows, evs): out.setdefault(row['encoder'], []).append(ev)
    return list(out.values())

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', help='a table or a prepared folder; nothing means the embedded sample')
    p.add_argument('--size', choices=tuple(ENCODERS), default='small')
    p.add_argument('--only', nargs='+', help='of the encoders, by their beginning')
    p.add_argument('--device', default='auto')
    p.add_argument('--epochs', type=int, default=40)
    p.add_argument('--minutes', type=float, help='the same time for each instead of the same steps')
    p.add_argument('--batch-size', type=int, default=32)
    p.add_argument('--lr-rate', type=float, default=1e-3)
    p.add_argument('--text-encoder', default='tiny')
    p.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    p.add_argument('--task', help='of list_tasks(), or findings with commas; nothing takes those that occur often enough')
    p.add_argument('--untrained', type=int, default=3)
    p.add_argument('--resamples', type=int, default=1000)
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    p.add_argument('--quick', action='store_true', help='one epoch, one seed, nothing written')
    a = p.parse_args()
    if a.quick: a.epochs, a.seeds, a.untrained, a.resamples = 1, a.seeds[:1], 1, 100
    from demo import machine
    from ecgclip.compare import compare
    from ecgclip.data import open_data
    from ecgclip.pages import to_markdown
    data = open_data(a.data, detail='full' if a.data else 'headline')
    labels = [l for l in ENCODERS[a.size] if not a.only or any(l.startswith(o) for o in a.only)]
    rows, evs = zip(*[judged(a, l, s, data) for s in a.seeds for l in labels])
    t = table(rows)
    print('', t.to_string(), sep='\n')
    compared = compare(by_encoder(rows, evs), names=labels, n_boot=a.resamples) if len(labels) > 1 else None
    tests = compared and compared.tests
    if compared: print('', *compared.notes, sep='\n')
    if tests is not None: print(f'\nAgainst {labels[0]}, mean of seeds {a.seeds}, on the same records:', tests.round(4).to_string(index=False), sep='\n')
    chance = rows[0]['mean_recall_group'][3]
    note = f'{data.name}: {len(data.subset("train"))} training, {len(data.subset("test"))} test records; {a.epochs if not a.minutes else f"{a.minutes} minutes"}{"" if a.minutes else " epochs"} of batch {a.batch_size}, seeds {a.seeds}. Mean recall of a random order: {chance:.3f}. Means over seeds; ± deviation over seeds; intervals over patients.'
    print(note)
    if a.quick: return
    out = root/'benchmarks'/'results'
    d = dict(date=str(datetime.date.today()), machine=machine(), note=a.note, about=note, settings={k: v for k, v in vars(a).items() if k not in ('data', 'note')}, runs=list(rows), table=t.reset_index(names='encoder').to_dict('records'),
             tests=None if tests is None else tests.to_dict('records'))
    (out/'compare_encoders.json').write_text(json.dumps(d, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    (out/'compare_encoders.md').write_text(to_markdown(t) + f'\n\n{note}\n' + ('' if tests is None else '\n' + to_markdown(tests.set_index('run')) + '\n'), encoding='utf-8')

if __name__ == '__main__': main()
