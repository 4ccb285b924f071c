"""Time the retrieval figures of a large gallery against the bare product of its embeddings.

    python benchmarks/retrieval.py [--n 50000] [--dim 256] [--threads 1]

Both go through the score matrix in blocks, in float32; the product alone looks at no score. Times are processor times, the best of the repeats. Writes benchmarks/results/retrieval.json."""
import argparse, datetime, json, resource, sys, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'benchmarks'))

def pairs(n, dim, seed=0):
    "Embeddings of `n` pairs with a report for every four, as in large public sets."
    import torch
    from torch.nn.functional import normalize
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(n//4, (n,), generator=g)
    text = normalize(torch.randn(n//4, dim, generator=g), dim=1)[ids]
    return normalize(text + .08*torch.randn(n, dim, generator=g), dim=1), text, ids

def seconds(f):
    start = time.process_time()   # of all cores, so that other work on the machine does not count
    f()
    return time.process_time() - start

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=50_000)
    p.add_argument('--dim', type=int, default=256)
    p.add_argument('--threads', type=int)
    p.add_argument('--repeats', type=int, default=2)
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    a = p.parse_args()
    import torch
    from demo import machine
    from ecgclip.metrics import retrieval_metrics, retrieval_ranks
    if a.threads: torch.set_num_threads(a.threads)
    ecg, text, ids = pairs(a.n, a.dim)
    def product():
        for rows in text.split(1024): rows @ ecg.T
    retrieval_ranks(ecg[:300], text[:300], ids[:300])                       # compiles
    times = [(seconds(product), seconds(lambda: retrieval_ranks(ecg, text, ids))) for _ in range(a.repeats)]   # by turns
    bare, ours = (min(o) for o in zip(*times))
    ratio = ours/bare
    m = retrieval_metrics(ecg, text, ids)
    d = dict(date=str(datetime.date.today()), machine=machine(), note=a.note, n=a.n, dim=a.dim, product_s=[round(o[0], 2) for o in times], ranks_s=[round(o[1], 2) for o in times],
             ratio=round(ratio, 2), peak_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20, 2), scores_gb=round(a.n**2*4/2**30, 1), mean_recall_group=m['mean_recall_group'])
    print(f'{a.n} x {a.n}, {a.dim} numbers each: the bare product takes {bare:.1f} s of processor time, all ranks {ours:.1f} s; ratio {ratio:.2f}; peak memory {d["peak_gb"]} GB, the score matrix alone would be {d["scores_gb"]} GB')
    (root/'benchmarks'/'results'/'retrieval.json').write_text(json.dumps(d, indent=1) + '\n', encoding='utf-8')

if __name__ == '__main__': main()
