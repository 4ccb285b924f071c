"""Time the retrieval figures of a large gallery against the bare product of its embeddings.

    python benchmarks/retrieval.py [--n 50000] [--dim 256] [--threads 1] [--kinds perfect weak anisotropic]

Three kinds of embeddings, since a rank may cost more where many scores are nearly equal: those of a model that finds every report, of one that hardly does, and of one whose embeddings
all lie in a narrow cone. Both go through the score matrix in blocks, in float32; the product alone looks at no score. Times are processor times, the best of the repeats.
Writes benchmarks/results/retrieval.json, a run for each kind and size; runs of other kinds and sizes stay."""
import argparse, datetime, json, os, resource, sys, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'benchmarks'))

KINDS = {'perfect': (.08, 0.), 'weak': (.5, 0.), 'anisotropic': (.3, 20.)}   # noise of an ECG about its report, and length of what all embeddings have in common

def pairs(n, dim, kind='perfect', seed=0):
    "Embeddings of `n` pairs with a report for every four, as in large public sets: ECGs (n,dim), reports (n,dim), number of each report (n,)."
    import torch
    from torch.nn.functional import normalize
    noise, shared = KINDS[kind]
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(n//4, (n,), generator=g)
    common = shared*normalize(torch.randn(1, dim, generator=g), dim=1)
    text = normalize(torch.randn(n//4, dim, generator=g), dim=1)[ids]
    return normalize(text + noise*torch.randn(n, dim, generator=g) + common, dim=1), normalize(text + common, dim=1), ids

def seconds(f):
    start = time.process_time()   # of all cores, so that other work on the machine does not count
    f()
    return time.process_time() - start

def measure(kind, n, dim, repeats):
    "Seconds of the bare product and of all ranks, by turns, and what the ranks say."
    from ecgclip.metrics import _all_metrics, retrieval_ranks
    ecg, text, ids = pairs(n, dim, kind)
    def product():
        for rows in text.split(1024): rows @ ecg.T
    retrieval_ranks(ecg[:300], text[:300], ids[:300])                       # compiles
    ranks = {}
    bare, ours = zip(*((seconds(product), seconds(lambda: ranks.update(retrieval_ranks(ecg, text, ids)))) for _ in range(repeats)))
    some = ecg[:500]
    return dict(kind=kind, n=n, dim=dim, product_s=[round(s, 2) for s in bare], ranks_s=[round(s, 2) for s in ours], ratio=round(min(ours)/min(bare), 2),
                peak_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20, 2), scores_gb=round(n**2*4/2**30, 2),
                mean_recall_group=round(_all_metrics(ranks)[0]['mean_recall_group'], 4), mean_cosine_of_ecgs=round(((some @ some.T).sum().item() - 500)/(500*499), 4))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=50_000)
    p.add_argument('--dim', type=int, default=256)
    p.add_argument('--threads', type=int)
    p.add_argument('--repeats', type=int, default=2)
    p.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS))
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    a = p.parse_args()
    import torch
    from demo import machine
    if a.threads: torch.set_num_threads(a.threads)
    path = root/'benchmarks'/'results'/'retrieval.json'
    runs = json.loads(path.read_text(encoding='utf-8'))['runs'] if path.is_file() else []
    for kind in a.kinds:
        d = measure(kind, a.n, a.dim, a.repeats) | dict(date=str(datetime.date.today()), machine=machine(), note=a.note)
        runs = [r for r in runs if (r['kind'], r['n']) != (kind, a.n)] + [d]
        print(f'{kind}: {a.n} x {a.n}, {a.dim} numbers each: the bare product takes {min(d["product_s"])} s of processor time, all ranks {min(d["ranks_s"])} s; ratio {d["ratio"]}; mean recall {d["mean_recall_group"]}; peak memory {d["peak_gb"]} GB, the score matrix alone would be {d["scores_gb"]} GB', flush=True)
        tmp = path.with_suffix('.json.tmp')
        tmp.write_text(json.dumps(dict(runs=runs), indent=1) + '\n', encoding='utf-8')
        os.replace(tmp, path)

if __name__ == '__main__': main()
