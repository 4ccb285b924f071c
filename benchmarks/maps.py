"""Where a checkpoint looks: share of its maps on abnormalities whose place is known, and whether random weights change them.

    python benchmarks/maps.py CHECKPOINT [--n 12] [--findings PVC CRBBB STD] [--out benchmarks/results/maps.json]

Simulated ECGs with each finding; the query is the finding's name against sinus rhythm. Prints a table for each finding, and writes all of it as JSON.
"""
import argparse, json, sys, warnings
from pathlib import Path

warnings.filterwarnings('ignore')
QUERIES = dict(PVC=('PVC', '室性早搏'), PAC=('PAC', '房性早搏'), CRBBB=('CRBBB', '完全性右束支传导阻滞'), CLBBB=('CLBBB', '完全性左束支传导阻滞'), STD=('STD', 'ST段压低'), TInv=('TInv', 'T波倒置'))


def simulated(name, key, n, seed):
    "`n` simulated ECGs that show the finding, by its truth."
    from ecgclip.simulate import Simulated, simulate
    import numpy as np
    made = simulate(3*n, seed, findings=[name])
    has = [i for i, t in enumerate(made.truth) if key in t['spans']][:n]
    return Simulated(made.signals[has], *([getattr(made, k)[i] for i in has] for k in ('findings', 'reports', 'truth'))) if has else None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('checkpoint')
    p.add_argument('--findings', nargs='+', default=list(QUERIES), choices=list(QUERIES))
    p.add_argument('--n', type=int, default=12, help='ECGs of each finding')
    p.add_argument('--seed', type=int, default=4242)
    p.add_argument('--device', default='cpu')
    p.add_argument('--out', default=None)
    a = p.parse_args()
    from ecgclip.learner import load_pretrained
    from ecgclip.maps import localisation, randomisation_test
    model = load_pretrained(a.checkpoint, device=a.device)
    methods = ['occlusion', 'gradients'] + ['attention']*hasattr(model.ecg, 'attention_maps')
    settings = dict(occlusion=dict(groups='planes', window=.3, stride=.15), gradients=dict(steps=32))
    results = dict(encoder=model.config.ecg_encoder, n=a.n, seed=a.seed, findings={})
    for name in a.findings:
        key, words = QUERIES[name]
        sim = simulated(name, key, a.n, a.seed)
        if sim is None: print(f'{name}: no simulated ECG shows it', file=sys.stderr); continue
        table = localisation(model, sim, key, words, methods=methods, settings=settings, against='窦性心律，正常心电图')
        tests = [randomisation_test(model, sim.signals[:3], words, method=m, seeds=2, **(dict(against='窦性心律，正常心电图') | settings.get(m, {}))) for m in methods]
        print(f'\n{name} ({words}), {len(sim)} ECGs\n{table.round(3).to_string()}', *tests, sep='\n')
        results['findings'][name] = dict(query=words, n=len(sim), table=table.to_dict('index'), random={t.method: dict(random=float(t.random.mean()), noise=float(t.noise.mean()), passed=t.passed) for t in tests})
    if a.out:
        Path(a.out).write_text(json.dumps(results, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')


if __name__ == '__main__': main()
