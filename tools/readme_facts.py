"""The figures of README.md and README.zh-CN.md, read from benchmarks/results: both languages say the same, and nobody types a figure."""
import json, re
from pathlib import Path

root = Path(__file__).resolve().parent.parent
def result(name): return json.loads((root/'benchmarks'/'results'/f'{name}.json').read_text(encoding='utf-8'))
def table(columns, rows): return '\n'.join('| ' + ' | '.join(map(str, r)) + ' |' for r in [columns, ['---']*len(columns), *rows])
def day(date): return date.replace('-', '\u2011')   # hyphens at which no narrow column breaks it
def interval(v): return f'{v["value"]:.3f} ({v["low"]:.3f} to {v["high"]:.3f})'
def machine(m): return f"{m['processor']}, {m['processors']} processors, torch {m['torch']}"

_NOTES = {'other work ran on the machine: the seconds are too many': '测量时机器上另有任务，时间偏长'}
def zh(text):
    "A figure, interval, machine or note of this module as it is written in Chinese."
    text = re.sub(r', (\d+) processors', r'，\1 核', _NOTES.get(text, text))
    text = re.sub(r' ?\(([^()]+)\)', r'（\1）', re.sub(r'(?<=\d) to (?=\d)', '–', text))
    return re.sub(r'(?<=\d) and (?=\d)', '、', text).replace('; ', '；').replace(', ', '、')

def demo():
    "What `ecgclip-pretrain` reaches without further words, seed by seed."
    d = result('demo'); seeds = d['seeds']; first = seeds[0]['report']['metrics']['mean_recall_group']
    return dict(n=seeds[0]['report']['n'], findings=seeds[0]['zero_shot']['averaged'], auc='; '.join(interval(s['zero_shot']['macro']) for s in seeds), untrained=', '.join(f"{s['zero_shot']['floors']['untrained']:.3f}" for s in seeds),
                recall='; '.join(interval(s['report']['metrics']['mean_recall_group']) for s in seeds), random=f"{first['chance']:.3f}", seeds=len(seeds), above=sum(s['report']['beats_chance'] for s in seeds), largest=f"{seeds[0]['report']['largest_group']:.3f}",
                minutes=' and '.join(f"{s['seconds']/60:.1f}" for s in seeds), date=d['date'], machine=machine(d['machine']), note=d['note'])

def transfer():
    "A model of simulated pairs alone on real ECGs: the findings of each half of the patients that was measured."
    d = result('simulation')
    def row(half, r): return dict(half=half, auc='; '.join(interval(m['macro']) for m in r['models']), untrained=f"{r['models'][0]['floors']['untrained']:.3f}", findings=r['models'][0]['averaged'])
    return dict(halves=[row(h, ts['findings']) for h, ts in d['halves'].items()], records=d['records'], patients=d['patients'], date=d['date'])

def reading():
    "F1 of Chinese sentences: the set in usual wording, and the range over those in unusual wording."
    d = result('reports_tests'); kinds = ('present', 'absent', 'uncertain')
    usual, others = d['third']['zh'], [d[k]['zh'] for k in ('second', 'fourth')]
    def spread(k): return '{:.3f} to {:.3f}'.format(*sorted(o[k]['f1'] for o in others))
    return dict(usual={k: f"{usual[k]['f1']:.3f}" for k in kinds}, unusual={k: spread(k) for k in kinds}, sentences=usual['sentences'], more=sum(o['sentences'] for o in others), date=d['third']['date'])

def images():
    d = result('images'); c, v = d['convert'], d['voltage with data']
    def area(r): return f"{r['area']:.3f} ({r['interval'][0]:.3f} to {r['interval'][1]:.3f})" if 'interval' in r else f"{r['area']:.3f}"
    return dict(times=c['published']['times_pyts'], times_mv=c['millivolt']['times_pyts'], ms=f"{c['published']['ms']['numba']:.1f}", pyts=f"{c['published']['ms']['pyts']:.0f}",
                differ=f"{max(x for p in ('published', 'millivolt') for k, x in c[p]['agreement']['numba'].items() if k != 'share_beyond_5e5'):.1e}", date=c['about']['date'],
                hypertrophy=v['hypertrophy'], normal=v['normal'], published=area(v['published']), millivolt=area(v['millivolt']))

def timesformer():
    from ecgclip.encoders import list_encoders   # how many there are is asked of the package, which may have more than were measured
    d = result('encoders'); n = d['numbers']; peak, step = n['peak_bytes'], n['training step']['seconds']
    return dict(step=f"{step['reference']/step['ours']:.2f}", memory=f"{peak['ours']/peak['reference']:.2f}", checkpointing=f"{peak['checkpointing']/peak['reference']:.2f}",
                agree=f"{n['agreement']['outputs']:.0e}", weights=n['agreement']['weights'], encoders=len(list_encoders()), date=d['date'], machine=machine(d['machine']),
                on_gpu=on_gpu())

def on_gpu():
    "The TimeSformer beside the reference on a GPU, or nothing."
    if not (root/'benchmarks'/'results'/'encoders_cuda.json').is_file(): return None
    d = result('encoders_cuda'); n = d['numbers']; t, peak = n['training step']['seconds'], n['peak_bytes']
    return dict(step=f"{t['reference']/t['ours']:.1f}", compiled=f"{t['reference']/t['compiled']:.1f}" if 'compiled' in t else None, memory=f"{peak['ours']/peak['reference']:.2f}", checkpointing=f"{peak['checkpointing']/peak['reference']:.2f}", gpu=d['machine']['gpu'], date=d['date'])

def batch():
    d = result('batch'); s = d['memory']['steps'][0]
    return dict(exact=f"{max(v['largest']['float64'] for k, v in d.items() if k.startswith('exact') and 'float64' in v['largest']):.0e}", batch=s['batch'], micro=s['micro_batch'], kept=f"{s['peak']/2**20:.0f}", plain=f"{s['plain'][str(s['batch'])]['peak']/2**20:.0f}", encoder=s['encoder'])

def survive():
    d = result('survive'); runs = [*d['resume'], d['terms']]
    return dict(stops=sum(r.get('stops', r.get('terms')) for r in runs), different=sum(len(r['differences']) for r in runs), kills=d['kills']['kills'], cut=d['kills']['cut_saves'], lost=len(d['kills']['wrong']), date=d['date'])

def hostile():
    d = result('hostile')['kinds'].values()
    return dict(files=f"{sum(k['n'] for k in d):,}", kinds=len(d), faults=sum(len(k['faults']) for k in d))

def retrieval():
    r = max(result('retrieval')['runs'], key=lambda r: r['n'])
    return dict(n=f"{r['n']:,}", peak=r['peak_gb'], scores=r['scores_gb'])

def packed(): return dict(times=result('prepare')['access']['packed_to_files'])

def sample():
    "Records of the embedded sample by source."
    import csv, collections
    with open(root/'ecgclip'/'sample'/'sample.csv', encoding='utf-8', newline='') as f: n = collections.Counter(r['source'] for r in csv.DictReader(f))
    return dict(n=sum(n.values()), **n)

if __name__ == '__main__':
    for f in (demo, transfer, reading, images, timesformer, batch, survive, hostile, retrieval, packed, sample): print(f.__name__, f())
