"""Where a model looks: share of its maps on abnormalities whose place is known, and whether random weights change them.

    python benchmarks/maps.py                             a residual network and a TimeSformer, each taught the findings by simulated ECGs for a few minutes, then judged on new ones
    python benchmarks/maps.py CHECKPOINT... [--n 12] [--findings PVC CRBBB STD]      checkpoints of one's own; `demo` is the one that comes with the package

Simulated ECGs with each finding; the query is the finding's name against sinus rhythm. A model says something of its maps only where it knows the finding, so the AUC of the query on new ECGs with and
without it stands beside them. Prints a table for each finding. Each finding is kept as soon as it is judged, and the same command goes on where an earlier one ended.
Writes benchmarks/results/maps.json, unless --out says otherwise."""
import argparse, datetime, json, os, sys, time, warnings
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'benchmarks'))
warnings.filterwarnings('ignore')

QUERIES = dict(PVC=('PVC', '室性早搏'), PAC=('PAC', '房性早搏'), CRBBB=('CRBBB', '完全性右束支传导阻滞'), CLBBB=('CLBBB', '完全性左束支传导阻滞'), STD=('STD', 'ST段压低'), TInv=('TInv', 'T波倒置'))
AGAINST = '窦性心律，正常心电图'
TAUGHT = dict(   # settings of `Config`, passes over the ECGs
    ResNet1D=(dict(ecg_encoder='resnet1d_tiny', ecg_args=dict(widths=[16, 32, 48, 64]), embed_dim=64), 12),
    TimeSformer=(dict(ecg_encoder='timesformer_tiny', image_preset='millivolt', image_args=dict(segment=250, image_size=25, value_range=[-1., 1.]), ecg_args=dict(dim=48, lead_dim=8, depth=1, heads=2, patch_size=25, pool='mean'), embed_dim=64), 40))
METHODS = dict(occlusion=dict(groups='planes', window=.3, stride=.15), gradients=dict(steps=32), attention={})

def simulated(name, key, n, seed):
    "`n` simulated ECGs that show the finding, by its truth; nothing where none does."
    from ecgclip.simulate import Simulated, simulate
    made = simulate(3*n, seed, findings=[name])
    has = [i for i, t in enumerate(made.truth) if key in t['spans']][:n]
    return Simulated(made.signals[has], *([getattr(made, k)[i] for i in has] for k in ('findings', 'reports', 'truth'))) if has else None

def lessons(findings, n, seed):
    "Signals `(N,12,5000)`, the number of the text of each, and the texts: `n` ECGs of each finding, and of sinus rhythm."
    import numpy as np, torch
    from ecgclip.simulate import simulate
    sets = [simulated(f, QUERIES[f][0], n, seed + i).signals for i, f in enumerate(findings)] + [simulate(n, seed + len(findings), findings=[]).signals]
    return torch.from_numpy(np.concatenate(sets)), torch.arange(len(sets)).repeat_interleave(torch.tensor([len(s) for s in sets])), [QUERIES[f][1] for f in findings] + [AGAINST]

def teach(kind, findings, n, seed, epochs=None):
    "A model that has seen simulated ECGs of the findings, each under the finding's name."
    import torch
    from ecgclip.core import Config
    from ecgclip.learner import create_model, set_seed
    from ecgclip.loss import contrastive_loss
    from ecgclip.text import small_text_encoder
    set_seed(seed)
    (settings, passes), (x, y, texts) = TAUGHT[kind], lessons(findings, n, seed)
    config = Config.timesformer(**dict(image_args={}, ecg_args={}) | settings)
    model = create_model(config, text_encoder=small_text_encoder(texts, dim=32, layers=1, heads=2))
    model.config = config
    if model.ecg.images is not None:
        model.ecg.calibrate(x[:32])
        x = torch.cat([model.ecg.images(o).half() for o in x.split(32)])   # once: nothing is varied
    opt, tokens = torch.optim.AdamW(model.parameters(), 2e-3), model.text.tokenize(texts)
    for _ in range(epochs or passes):
        model.train()
        for i in torch.randperm(len(x)).split(32):
            contrastive_loss(model.encode_ecg(x[i].float()), model.encode_text(tokens)[y[i]], model.log_scale.exp(), y[i], 'positive').backward()
            opt.step(); opt.zero_grad()
    return model.eval()

def knows(model, name, n, seed):
    "AUC of the query on new ECGs, half of which have the finding."
    import numpy as np
    from ecgclip.evaluation import zero_shot_scores
    from ecgclip.metrics import roc_auc
    from ecgclip.simulate import simulate
    key, words = QUERIES[name]
    with_, without = simulated(name, key, n, seed), simulate(n, seed + 1, findings=[])
    s = zero_shot_scores(model, np.concatenate([with_.signals, without.signals]), {name: dict(present=[words], absent=[AGAINST])})[:, 0]
    return roc_auc([1]*len(with_) + [0]*n, s)

def judge(model, name, a):
    "What one finding's maps show, for JSON; nothing where no simulated ECG has it."
    from ecgclip.maps import localisation, randomisation_test
    key, words = QUERIES[name]
    sim = simulated(name, key, a.n, a.seed)
    if sim is None: print(f'{name}: no simulated ECG shows it', file=sys.stderr); return None
    methods = [m for m in METHODS if m != 'attention' or hasattr(model.ecg, 'attention_maps')]
    table = localisation(model, sim, key, words, methods=methods, settings=METHODS, against=AGAINST)
    tests = [randomisation_test(model, sim.signals[:a.random], words, method=m, seeds=2, **METHODS[m] | ({} if m == 'attention' else dict(against=AGAINST))) for m in methods]
    auc = knows(model, name, a.known, a.seed + 1000)
    print(f'\n{name} ({words}), {len(sim)} ECGs, AUC of the query on new ones {auc:.2f}\n{table.round(3).to_string()}', *tests, sep='\n', flush=True)
    return dict(query=words, n=len(sim), auc=auc, table=table.to_dict('index'), random={t.method: dict(random=float(t.random.mean()), noise=float(t.noise.mean()), passed=bool(t.passed)) for t in tests})

def models(a):
    "Name -> what makes the model."
    from ecgclip.learner import load_pretrained
    if a.checkpoints: return {Path(c).name if Path(c).exists() else c: lambda c=c: load_pretrained(c, device=a.device) for c in a.checkpoints}
    return {f'{k}, taught': lambda k=k: teach(k, a.findings, a.teach, 1, a.epochs).to(a.device) for k in TAUGHT if not a.only or k in a.only}

def save(path, results):
    tmp = path.with_name(f'.{path.name}.new')
    tmp.write_text(json.dumps(results, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    os.replace(tmp, path)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('checkpoints', nargs='*', metavar='CHECKPOINT')
    p.add_argument('--findings', nargs='+', default=['PVC', 'CRBBB', 'TInv'], choices=list(QUERIES))
    p.add_argument('--only', nargs='+', choices=list(TAUGHT), help='of the models that are taught')
    p.add_argument('--n', type=int, default=8, help='ECGs of each finding whose maps are drawn')
    p.add_argument('--random', type=int, default=2, help='of these, those that random weights are tried on')
    p.add_argument('--known', type=int, default=40, help='new ECGs with and without each finding, on which the query is judged')
    p.add_argument('--teach', type=int, default=128, help='ECGs of each finding that the models are taught by')
    p.add_argument('--epochs', type=int, help='passes over them; nothing means as many as each needs')
    p.add_argument('--seed', type=int, default=4242)
    p.add_argument('--device', default='cpu')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    p.add_argument('--out', default=str(root/'benchmarks'/'results'/'maps.json'))
    a = p.parse_args()
    from demo import machine
    path, settings = Path(a.out), {k: getattr(a, k) for k in ('n', 'random', 'known', 'teach', 'epochs', 'seed')}
    old = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    results = dict(date=str(datetime.date.today()), machine=machine(), note=a.note, settings=settings, models=old.get('models', {}) if old.get('settings') == settings else {})
    for name, make in models(a).items():
        found = results['models'].setdefault(name, {})
        if not (todo := [f for f in a.findings if f not in found]): continue
        start, model = time.process_time(), make()
        print(f'{name}: {time.process_time() - start:.0f} s of processor time', flush=True)
        for f in todo:
            if (one := judge(model, f, a)) is not None: found[f] = one; save(path, results)

if __name__ == '__main__': main()
